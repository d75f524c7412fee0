// The usual calls with openapi-fetch and the types of openapi-typescript. Arguments: the address of a service and an API key.

import assert from "node:assert/strict";
import createClient from "openapi-fetch";
import type { components, paths } from "./schema.js";

type Problem = components["schemas"]["ProblemDetails"];

const [baseUrl, key] = process.argv.slice(2);
const client = createClient<paths, `application/${string}json`>({ baseUrl, headers: { Authorization: `Bearer ${key}` } });

/** Return the data of a successful response. */
async function data<T>(call: Promise<{ data?: T; error?: Problem }>): Promise<T> {
  const { data, error } = await call;
  assert(data !== undefined, JSON.stringify(error));
  return data;
}

/** Return the problem of a refused request. */
async function refusal(call: Promise<{ data?: unknown; error?: Problem }>): Promise<Problem> {
  const { error } = await call;
  assert(error, "the call was not refused");
  return error;
}

// Students and courses, with and without values that have a default.
const [ada, ben] = [
  (await data(client.POST("/students", { body: { name: "Ada", email: "ada@example.edu" } }))).id,
  (await data(client.POST("/students", { body: { name: "Ben", email: "ben@example.edu" } }))).id,
];
const small = await data(
  client.POST("/courses", { body: { code: "CS225", title: "Data Structures", capacity: 1, waitlist_capacity: 10 } }),
);
const large = await data(client.POST("/courses", { body: { code: "MA101", title: "Calculus" } }));
assert.deepEqual([small.seats_available, large.capacity, large.waitlist_capacity], [1, null, 0]);
const invalid = await refusal(client.POST("/students", { body: { name: "Cy", email: "nonsense" } }));
assert.deepEqual(invalid.errors?.map((each) => each.pointer), ["/email"]);

// Enroll: a refusal with its reasons, then the waitlist.
const enroll = "/students/{student_id}/enroll";
const first = await client.POST(enroll, { params: { path: { student_id: ada } }, body: { course_id: small.id } });
assert.equal(first.response.status, 201);
const both = [small.id, large.id];
const refused = await refusal(
  client.POST(enroll, { params: { path: { student_id: ben } }, body: { course_ids: both } }),
);
assert.deepEqual([refused.status, refused.code], [409, "enrollment_refused"]);
assert.deepEqual(refused.decisions?.map((each) => each.outcome), ["refused", "eligible"]);
const reason = refused.decisions?.[0]?.reasons[0];
assert.deepEqual([reason?.code, reason?.capacity, reason?.waitlist_open], ["course_full", 1, true]);
const enrolled = await data(
  client.POST(enroll, { params: { path: { student_id: ben } }, body: { course_ids: both, waitlist: true } }),
);
assert.deepEqual(
  enrolled.results?.map((each) => [each.outcome, each.position]),
  [
    ["waitlisted", 1],
    ["enrolled", undefined],
  ],
);
const held = await data(
  client.GET("/students/{student_id}/courses", { params: { path: { student_id: ben }, query: { status: "any" } } }),
);
assert.deepEqual(
  held.courses.map((each) => [each.code, each.status, each.position]),
  [
    ["CS225", "waitlisted", 1],
    ["MA101", "enrolled", null],
  ],
);

// Unenroll with ids in the query and in the body; the seat goes to the student on the waitlist.
const unenroll = "/students/{student_id}/unenroll";
const left = await data(
  client.DELETE(unenroll, { params: { path: { student_id: ada }, query: { course_id: both } } }),
);
assert.deepEqual(left.results.map((each) => each.outcome), ["unenrolled", "not_enrolled"]);
const rosterOf = { path: { course_id: small.id } };
const roster = await data(client.GET("/courses/{course_id}/students", { params: rosterOf }));
assert.deepEqual(roster.items.map((each) => [each.student_id, each.name]), [[ben, "Ben"]]);
const since = new Date(roster.items[0]!.status_since);
const as_of = new Date(since.getTime() - 3_600_000).toISOString();
const before = await data(
  client.GET("/courses/{course_id}/students", { params: { ...rosterOf, query: { as_of } } }),
);
assert.deepEqual(before.items, []);
const history = await data(
  client.GET("/students/{student_id}/history", { params: { path: { student_id: ben } } }),
);
assert.deepEqual(
  history.items.filter((each) => each.course_id === small.id).map((each) => [each.from, each.to]),
  [
    ["waitlisted", "enrolled"],
    [null, "waitlisted"],
  ],
);
const plan = await data(
  client.PUT(enroll, {
    params: { path: { student_id: ben }, query: { dry_run: true } },
    body: { course_ids: [large.id] },
  }),
);
assert.deepEqual([plan.unenrolled, plan.kept], [[small.id], [large.id]]);
const body = await data(
  client.DELETE(unenroll, { params: { path: { student_id: ben } }, body: { course_ids: both } }),
);
assert.deepEqual(body.results.map((each) => each.outcome), ["unenrolled", "unenrolled"]);

// ETags. A change of the title changes nothing else; null removes the limit.
const course = "/courses/{course_id}";
const path = { course_id: small.id };
const { response } = await client.GET(course, { params: { path } });
const etag = response.headers.get("ETag")!;
const same = await client.GET(course, { params: { path, header: { "If-None-Match": etag } } });
assert.equal(same.response.status, 304);
const header = { "If-Match": etag };
const changed = await data(client.PATCH(course, { params: { path, header }, body: { title: "Algorithms" } }));
assert.deepEqual([changed.title, changed.capacity, changed.waitlist_capacity], ["Algorithms", 1, 10]);
const stale = await refusal(client.PATCH(course, { params: { path, header }, body: { title: "Lost" } }));
assert.equal(stale.code, "precondition_failed");
const unlimited = await data(client.PATCH(course, { params: { path }, body: { capacity: null } }));
assert.deepEqual([unlimited.capacity, unlimited.waitlist_capacity], [null, 10]);

// Pages.
const codes: string[] = [];
let after: string | undefined;
do {
  const page = await data(client.GET("/courses", { params: { query: { limit: 1, after } } }));
  codes.push(...page.items.map((each) => each.code));
  after = page.next ?? undefined;
} while (after);
assert.deepEqual(codes, ["CS225", "MA101"]);
const deleted = await client.DELETE("/students/{student_id}", { params: { path: { student_id: ada } } });
assert.equal(deleted.response.status, 204);
