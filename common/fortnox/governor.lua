-- The rate limit of one tenant: books the next free slot under `limit` requests in any window, by Redis' own clock.
--
-- Keys (the hash tag is the client id, so that the four live on one node of a cluster; times in microseconds):
--   KEYS[1]  governor:{<client id>}:epoch               string  since when this Redis has counted; never expires
--   KEYS[2]  governor:{<client id>}:<tenant>:slots      zset    ticket -> slot: of the last window, and those to come
--   KEYS[3]  governor:{<client id>}:<tenant>:throttled  string  no slot before this time; set by a 429
--   KEYS[4]  governor:{<client id>}:<tenant>:wider      string  until when the window is wider than ARGV[2], see below
-- All but the first expire by themselves once they can no longer hold anything back. Each is written only here, but for
-- Governor.vouch, which sets KEYS[1].
--
-- Invariant: a slot is never before one that was booked earlier; any limit + 1 slots in a row span at least the window
-- when they are booked, and again when they are due; none lies before the time in KEYS[3], nor within a window after
-- KEYS[1]. So a Redis that has lost its memory begins as if every tenant had just spent all its requests: it cannot know
-- better. An idle tenant is told from that by KEYS[1], which is still there.
--
-- Who has waited asks again with the same ticket when its slot is due, and waits on if the slot has moved meanwhile: a
-- 429 moves all that is still to come, in its order, to behind the pause; a request that left late moves its own slot to
-- when it left, and the one that must keep its distance from it learns so when it asks.
--
-- The window: each 429 adds 50 ms to 5.25 s, up to 6 s (or as much of another window), and 10 minutes take 50 ms away
-- again, evenly: as wide as that for as long costs about what the 429 did. Several 429s of one pause are one.
--
-- ARGV[1] command, ARGV[2] window, ARGV[3] limit, ARGV[4] the command's argument, ARGV[5] ticket, any string, of which
-- the lesser goes first should two slots coincide (all but commands, limit and tickets in microseconds):
--   slot      argument: longest wait; ARGV[6]: how late is still punctual. The ticket's slot, booked if it has none:
--             {1, wait}; further away: {0, wait}, and the ticket has none
--   left      The ticket's request leaves now, later than its slot was due
--   back      The ticket needs its slot no more
--   room      argument: horizon. How many slots could be booked from now up to then; books nothing
--   throttle  argument: pause. No slot before now + pause (an earlier, longer pause stands): {pause, window}

local SECOND = 1000000
local LONGEST_WAIT = 60 * SECOND
local LONGEST_PAUSE = 600 * SECOND
local NARROWING = 600 * SECOND
local STEPS = 15

local command = ARGV[1]
local least = tonumber(ARGV[2])
local limit = tonumber(ARGV[3])
local argument = tonumber(ARGV[4])
local ticket = ARGV[5]

local step = least / 105
local widest = least + STEPS * step

local clock = redis.call('TIME')
local now = tonumber(clock[1]) * SECOND + tonumber(clock[2])

-- Lua would write a number of this size as 1.7e+15 and lose its microseconds.
local function written(time)
  return string.format('%.0f', time)
end

local function milliseconds(time)
  return written(math.ceil(time / 1000) + 1)
end

local function put(who, slot)
  redis.call('ZADD', KEYS[2], written(slot), who)
end

-- The slot that stands at `place`, counted from the oldest at 0 or from the newest at -1.
local function slot_at(place)
  return tonumber(redis.call('ZRANGE', KEYS[2], place, place, 'WITHSCORES')[2])
end

-- Forgets what lies too far back to matter, and sets when all of it does.
local function tidy()
  redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', written(now - widest))
  local newest = slot_at(-1)
  if newest then
    redis.call('PEXPIRE', KEYS[2], milliseconds(math.max(newest - now, 0) + widest))
  end
end

if command == 'back' then
  return redis.call('ZREM', KEYS[2], ticket)
end

if command == 'left' then
  put(ticket, now)
  tidy()
  return 1
end

local stored = redis.call('MGET', KEYS[1], KEYS[3], KEYS[4])
local epoch = tonumber(stored[1] or nil)
local throttled = tonumber(stored[2] or '0')
local wider = tonumber(stored[3] or '0')
local newest = slot_at(-1)

if not epoch or epoch > now then
  epoch = now
  redis.call('SET', KEYS[1], written(epoch))
end

-- Nothing is ever booked so far ahead: the clock has been put back. What was spent when is unknown then, as after a wipe.
if math.max(throttled - now, 0) > 2 * LONGEST_PAUSE
  or newest and newest - math.max(now, throttled) > 2 * LONGEST_WAIT then
  redis.call('DEL', KEYS[2])
  newest = nil
  throttled = now + widest
  redis.call('SET', KEYS[3], written(throttled), 'PX', milliseconds(widest))
end

local function width()
  local steps = math.min(math.max(wider - now, 0) / NARROWING, STEPS)
  return math.ceil(least + steps * step)
end

if command == 'throttle' then
  -- A 429 during the pause is of a request that was on its way when the pause began.
  if throttled <= now then
    wider = math.min(math.max(wider, now) + NARROWING, now + STEPS * NARROWING)
    redis.call('SET', KEYS[4], written(wider), 'PX', milliseconds(wider - now))
  end
  local till = math.max(throttled, now + math.min(argument, LONGEST_PAUSE))
  redis.call('SET', KEYS[3], written(till), 'PX', milliseconds(till - now))
  -- What is to come keeps its order, and moves no further than it must, so that `room` tells the truth meanwhile.
  local tickets = redis.call('ZRANGE', KEYS[2], 0, -1, 'WITHSCORES')
  local booked = {}
  for place = 1, #tickets / 2 do
    local slot = tonumber(tickets[2 * place])
    if slot > now then
      slot = math.max(slot, till, booked[place - 1] or 0, (booked[place - limit] or 0) + width())
      put(tickets[2 * place - 1], slot)
    end
    booked[place] = slot
  end
  tidy()
  return {till - now, width()}
end

local window = width()
local opening = math.max(now, throttled, epoch + window)

-- The slot after those booked: not before the newest, and a window after the limit-th newest.
local function slot_after(newest, guard)
  local slot = opening
  if newest then
    slot = math.max(slot, newest)
  end
  if guard then
    slot = math.max(slot, guard + window)
  end
  return slot
end

if command == 'room' then
  local booked = {}
  for place, text in ipairs(redis.call('ZRANGE', KEYS[2], -limit, -1, 'WITHSCORES')) do
    if place % 2 == 0 then
      table.insert(booked, tonumber(text))
    end
  end
  local free = 0
  local slot = slot_after(booked[#booked], booked[#booked - limit + 1])
  while slot <= now + argument do
    free = free + 1
    table.insert(booked, slot)
    slot = slot_after(slot, booked[#booked - limit + 1])
  end
  return free
end

local longest = math.min(argument, LONGEST_WAIT)
local held = tonumber(redis.call('ZSCORE', KEYS[2], ticket) or nil)
local slot
if not held then
  slot = slot_after(newest, newest and slot_at(-limit))
else
  if now - held > tonumber(ARGV[6]) then
    held = now
    put(ticket, held)
  end
  slot = opening > now and math.max(held, opening) or held
  local rank = redis.call('ZRANK', KEYS[2], ticket)
  if rank >= limit then
    slot = math.max(slot, slot_at(rank - limit) + window)
  end
end

local wait = math.max(slot - now, 0)
if wait > longest then
  redis.call('ZREM', KEYS[2], ticket)
  return {0, wait}
end
if slot ~= held then
  put(ticket, slot)
  tidy()
end
return {1, wait}
