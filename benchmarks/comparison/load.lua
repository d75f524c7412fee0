-- The loads of `make bench`, chosen by the first argument behind `--`:
--   enroll STUDENTS COURSES [FIRST]    one random student in one random course, of those from the id FIRST on
--   list STUDENTS              the courses of one random student
--   cycle STUDENTS COURSES     enroll a pair, and a while later take it out again
--   hot COURSE STUDENTS        each student once, all in one course, then stop
--   hello                      the front page
-- AUTHORIZATION in the environment is sent along. What was measured is written as one line of JSON.

local ffi = require("ffi")
ffi.cdef("typedef struct { long s; long ns; } moment; int clock_gettime(int clock, moment *time);")

local READ = { ["Authorization"] = os.getenv("AUTHORIZATION") }
local WRITE = { ["Authorization"] = READ["Authorization"], ["Content-Type"] = "application/json" }
local LAG = 64 -- requests of one thread between enrolling and unenrolling: more than are under way at once
local threads = 0

function setup(thread)
  threads = threads + 1
  thread:set("number", threads)
end

local function now()
  local time = ffi.new("moment")
  ffi.C.clock_gettime(1, time)
  return tonumber(time.s) + tonumber(time.ns) / 1e9
end

local function change(method, what, student, course)
  return wrk.format(method, "/students/" .. student .. "/" .. what, WRITE, '{"course_ids":[' .. course .. "]}")
end

local loads = {}

function loads.enroll(students, courses, first)
  local before = (first or 1) - 1
  return function()
    return change("POST", "enroll", math.random(students), before + math.random(courses))
  end
end

function loads.list(students)
  return function()
    return wrk.format("GET", "/students/" .. math.random(students) .. "/courses", READ)
  end
end

function loads.hello()
  return function()
    return wrk.format("GET", "/")
  end
end

function loads.cycle(students, courses)
  local held, first, last, turn = {}, 1, 0, 0
  return function()
    turn = turn + 1
    if turn % 2 == 0 and last - first >= LAG / 2 then
      local pair = held[first]
      held[first] = nil
      first = first + 1
      return change("DELETE", "unenroll", pair[1], pair[2])
    end
    last = last + 1
    held[last] = { math.random(students), math.random(courses) }
    return change("POST", "enroll", held[last][1], held[last][2])
  end
end

function loads.hot(course, students)
  local sent, answered, started, by_status = -1, 0, nil, {} -- wrk asks for one request before it begins
  response = function(status)
    if status == 200 then return end -- a read, sent after all enrolls
    answered = answered + 1
    by_status[status] = (by_status[status] or 0) + 1
    if answered == students then
      local counts = {}
      for each, count in pairs(by_status) do counts[#counts + 1] = string.format('"%d": %d', each, count) end
      io.write(string.format('{"seconds": %.4f, "statuses": {%s}}\n', now() - started, table.concat(counts, ", ")))
      io.flush()
      os.exit(0)
    end
  end
  return function()
    sent = sent + 1
    if sent == 1 then started = now() end
    if sent < 1 or sent > students then return wrk.format("GET", "/students/1/courses", READ) end
    return change("POST", "enroll", sent, course)
  end
end

function init(arguments)
  math.randomseed(os.time() * 10 + number)
  request = loads[arguments[1]](tonumber(arguments[2]), tonumber(arguments[3]), tonumber(arguments[4]))
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '{"requests": %d, "seconds": %.4f, "p50_ms": %.3f, "p99_ms": %.3f, "refused": %d, "broken": %d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    errors.status, errors.connect + errors.read + errors.write + errors.timeout))
end
