-- Plays the requests of a file over wrk's connections, each request once, then ends wrk.
--
--   wrk -t1 -c64 -d60s -s load.lua http://host:port -- FILE [STATUS]
--
-- FILE holds requests as they go over the wire, each behind a line with its length. STATUS is what
-- counts as good, 200 if none is named. One thread, so one order. -d bounds the time should an answer
-- never come. Prints one line of JSON.

local ffi = require("ffi")
ffi.cdef [[
    typedef struct { long s; long ns; } moment;
    int clock_gettime(int clock, moment *now);
    int getpid(void);
    int kill(int pid, int signal);
]]
local MONOTONIC, SIGINT = 1, 2

-- Sent once the file is at its end, while the last answers are awaited: no server knows the
-- path, and a 404 counts for nothing.
local FILLER = "GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n"

local requests, taken, good = {}, 0, 200
local moment = ffi.new("moment")

-- Read by done() through the thread, hence global.
answered, ok, seconds = 0, 0, 0

local function now()
    ffi.C.clock_gettime(MONOTONIC, moment)
    return tonumber(moment.s) + tonumber(moment.ns) / 1e9
end

local thread
function setup(made)
    thread = made
end

function init(arguments)
    local file = assert(io.open(arguments[1], "rb"))
    for length in function() return file:read("*n", 1) end do
        requests[#requests + 1] = file:read(length)
    end
    file:close()
    good = tonumber(arguments[2] or good)
end

-- wrk asks for one request before it connects, to look at it, and never sends that one.
function request()
    request = following
    return FILLER
end

local started
function following()
    started = started or now()
    taken = taken + 1
    return requests[taken] or FILLER
end

function response(status)
    if status == 404 then return end
    answered = answered + 1
    if status == good then ok = ok + 1 end
    if answered == #requests then
        seconds = now() - started
        wrk.thread:stop()
        ffi.C.kill(ffi.C.getpid(), SIGINT) -- wrk's main thread sleeps for the whole of -d
    end
end

function done(summary, latency)
    local errors = summary.errors
    print(string.format(
        '{"answered": %d, "ok": %d, "seconds": %.6f, "p50_ms": %.3f, "p99_ms": %.3f, "broken": %d}',
        thread:get("answered"), thread:get("ok"), thread:get("seconds"),
        latency:percentile(50) / 1000, latency:percentile(99) / 1000,
        errors.connect + errors.read + errors.write + errors.timeout
    ))
end
