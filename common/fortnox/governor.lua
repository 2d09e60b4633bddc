-- The rate limit of one tenant: books the next free slot under `limit` requests in any `window`, by Redis' own clock.
--
-- Keys (the hash tag is the client id, so that the three live on one node of a cluster; times in microseconds):
--   KEYS[1]  governor:{<client id>}:epoch               string  since when this Redis has counted; never expires
--   KEYS[2]  governor:{<client id>}:<tenant>:slots      list    the last `limit` slots booked, newest first
--   KEYS[3]  governor:{<client id>}:<tenant>:throttled  string  no slot before this time; set by a 429
-- KEYS[2] and KEYS[3] expire by themselves once they can no longer hold anything back. Each is written only here, but
-- for Governor.vouch, which sets KEYS[1].
--
-- Invariant: slots never go backwards; any limit + 1 slots in a row span at least `window` when they are booked; none lies
-- before the time in KEYS[3], nor within a window after KEYS[1]. A request that leaves late has its slot moved to when it
-- left: what is booked from then on keeps its distance from what was really spent. So a Redis that has lost its memory begins as if every tenant had just
-- spent all its requests: it cannot know better. An idle tenant is told from that by KEYS[1], which is still there.
--
-- ARGV[1] command, ARGV[2] window, ARGV[3] limit, ARGV[4] the command's argument (all but the first and the third in
-- microseconds):
--   slot      argument: longest wait. Books the next slot: {1, wait, slot}; further away: {0, wait}, nothing is booked
--   late      argument: how long after its slot, which is ARGV[5], a request has left. Moves the slot by that much
--   room      argument: horizon. How many slots could be booked from now up to then; books nothing
--   throttle  argument: pause. No slot before now + pause (an earlier, longer pause stands)
--   pause     How long the pause of a 429 still lasts, 0 when there is none

local command = ARGV[1]
local window = tonumber(ARGV[2])
local limit = tonumber(ARGV[3])
local argument = tonumber(ARGV[4])

local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000000 + tonumber(clock[2])

-- Lua would write a number of this size as 1.7e+15 and lose its microseconds.
local function written(time)
  return string.format('%.0f', time)
end

local function milliseconds(time)
  return written(math.ceil(time / 1000))
end

local throttled = tonumber(redis.call('GET', KEYS[3]) or '0')

if command == 'pause' then
  return math.max(throttled - now, 0)
end

if command == 'throttle' then
  local till = math.max(throttled, now + argument)
  redis.call('SET', KEYS[3], written(till), 'PX', milliseconds(till - now) + 1)
  return till - now
end

if command == 'late' then
  local spent = tonumber(ARGV[5]) + argument
  redis.call('LREM', KEYS[2], 1, ARGV[5])
  local earlier
  for _, time in ipairs(redis.call('LRANGE', KEYS[2], 0, limit - 1)) do
    if tonumber(time) <= spent then
      earlier = time
      break
    end
  end
  if earlier then
    redis.call('LINSERT', KEYS[2], 'BEFORE', earlier, written(spent))
  else
    redis.call('RPUSH', KEYS[2], written(spent))
  end
  redis.call('LTRIM', KEYS[2], 0, limit - 1)
  local newest = tonumber(redis.call('LINDEX', KEYS[2], 0))
  redis.call('PEXPIRE', KEYS[2], milliseconds(math.max(newest - now, 0) + window) + 1000)
  return 0
end

local epoch = tonumber(redis.call('GET', KEYS[1]))
if not epoch then
  epoch = now
  redis.call('SET', KEYS[1], written(epoch))
end

-- The slot after those in `booked` (newest first): not before the newest, and a window after the limit-th newest.
local function next_slot(booked)
  local slot = math.max(now, throttled, epoch + window, booked[1] or 0)
  if booked[limit] then
    slot = math.max(slot, booked[limit] + window)
  end
  return slot
end

local booked = redis.call('LRANGE', KEYS[2], 0, limit - 1)
for place, time in ipairs(booked) do
  booked[place] = tonumber(time)
end

if command == 'room' then
  local free = 0
  local slot = next_slot(booked)
  while slot <= now + argument do
    free = free + 1
    table.insert(booked, 1, slot)
    slot = next_slot(booked)
  end
  return free
end

local slot = next_slot(booked)
local wait = slot - now
if wait > argument then
  return {0, wait}
end
redis.call('LPUSH', KEYS[2], written(slot))
redis.call('LTRIM', KEYS[2], 0, limit - 1)
redis.call('PEXPIRE', KEYS[2], milliseconds(wait + window) + 1000)
return {1, wait, written(slot)}
