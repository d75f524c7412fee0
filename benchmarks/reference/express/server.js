// The enrollment calls as the tutorials of Express write them: raw SQL through pg's pool, one process a core by cluster.
import cluster from "node:cluster";
import express from "express";
import pg from "pg";

const { PORT, PROCESSES, POOL, PGHOST, PGUSER, PGDATABASE } = process.env;

if (cluster.isPrimary) {
  for (let started = 0; started < Number(PROCESSES); started++) cluster.fork();
  process.on("SIGTERM", () => process.exit(0));
} else {
  serve();
}

class Refused extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

function studentId(request) {
  const id = Number(request.params.id);
  if (!Number.isSafeInteger(id) || id < 1) throw new Refused(404, "student not found");
  return id;
}

function courseIds(request) {
  const ids = request.body?.course_ids;
  const valid =
    Array.isArray(ids) && ids.length >= 1 && ids.length <= 100 && ids.every((id) => Number.isSafeInteger(id) && id >= 1);
  if (!valid) throw new Refused(422, "course_ids must be a list of 1 to 100 ids");
  return ids;
}

async function findStudent(client, id) {
  const { rowCount } = await client.query("SELECT id FROM students WHERE id = $1", [id]);
  if (rowCount === 0) throw new Refused(404, "student not found");
}

async function findCourses(client, ids, lock) {
  const { rows } = await client.query(
    `SELECT id, capacity FROM courses WHERE id = ANY($1) ORDER BY id ${lock ? "FOR UPDATE" : ""}`,
    [ids],
  );
  if (rows.length !== new Set(ids).size) throw new Refused(404, "course not found");
  return rows;
}

async function transaction(pool, work) {
  const client = await pool.connect();
  try {
    await client.query("BEGIN");
    const result = await work(client);
    await client.query("COMMIT");
    return result;
  } catch (error) {
    await client.query("ROLLBACK");
    throw error;
  } finally {
    client.release();
  }
}

function serve() {
  const pool = new pg.Pool({ host: PGHOST, user: PGUSER, database: PGDATABASE, max: Number(POOL) });
  const app = express();
  app.use(express.json());

  app.post("/students/:id/enroll", async (request, response) => {
    const student = studentId(request);
    const ids = courseIds(request);
    const held = await transaction(pool, async (client) => {
      await findStudent(client, student);
      const courses = await findCourses(client, ids, true);
      const { rows } = await client.query(
        "SELECT course_id FROM enrollments WHERE student_id = $1 AND course_id = ANY($2)",
        [student, ids],
      );
      const already = new Set(rows.map((row) => row.course_id));
      for (const course of courses) {
        if (already.has(course.id)) continue;
        const counted = await client.query("SELECT count(*) AS taken FROM enrollments WHERE course_id = $1", [course.id]);
        if (Number(counted.rows[0].taken) >= course.capacity) throw new Refused(409, "course full");
        await client.query("INSERT INTO enrollments (student_id, course_id) VALUES ($1, $2)", [student, course.id]);
      }
      return already;
    });
    response.status(held.size === new Set(ids).size ? 200 : 201).json({
      student_id: student,
      results: ids.map((id) => ({ course_id: id, outcome: held.has(id) ? "already_enrolled" : "enrolled" })),
    });
  });

  app.delete("/students/:id/unenroll", async (request, response) => {
    const student = studentId(request);
    const ids = courseIds(request);
    const left = await transaction(pool, async (client) => {
      await findStudent(client, student);
      await findCourses(client, ids, false);
      const { rows } = await client.query(
        "DELETE FROM enrollments WHERE student_id = $1 AND course_id = ANY($2) RETURNING course_id",
        [student, ids],
      );
      return new Set(rows.map((row) => row.course_id));
    });
    response.json({
      student_id: student,
      results: ids.map((id) => ({ course_id: id, outcome: left.has(id) ? "unenrolled" : "not_enrolled" })),
    });
  });

  app.get("/students/:id/courses", async (request, response) => {
    const student = studentId(request);
    await findStudent(pool, student);
    const { rows } = await pool.query(
      `SELECT c.id, c.code, c.title, e.created_at FROM enrollments e JOIN courses c ON c.id = e.course_id
       WHERE e.student_id = $1 ORDER BY c.code`,
      [student],
    );
    response.json({
      student_id: student,
      courses: rows.map((row) => ({
        id: row.id,
        code: row.code,
        title: row.title,
        status: "enrolled",
        status_since: row.created_at,
      })),
    });
  });

  app.use((error, request, response, next) => {
    if (response.headersSent) return next(error);
    response.status(error.status ?? 500).json({ detail: error.message });
  });

  app.listen(Number(PORT), "127.0.0.1");
}
