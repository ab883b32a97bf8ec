-- Clock: the pool clock and the fencing counter, one read and one write a script (design §3).
-- uses: Keys
local now, offset, fence, known_offset, known_fence
-- Whether units of some host may be held back for a request for several (Match).
local has_gatherings
-- Not while an empty or older record is being filled again (docs/decisions/0009): nothing is offered then.
local is_settled
-- Until when every coordinator that beats is known to read events in one piece, pool ms (docs/decisions/0014).
local packed_until
do
  local time = call('TIME')
  local saved = call('HMGET', KEYS[1], 'last', 'offset', 'fence', 'settled', 'gathers', 'packed')
  is_settled = saved[4] == '1'
  local last = tonumber(saved[1]) or 0
  has_gatherings = saved[5] ~= false
  packed_until = tonumber(saved[6]) or 0
  offset, fence = tonumber(saved[2]) or 0, tonumber(saved[3]) or 0
  known_offset, known_fence = offset, fence
  now = time[1] * 1000000 + time[2] + offset
  if now <= last then -- TIME went back, or two scripts met in one microsecond
    offset = offset + last + 1 - now
    now = last + 1
  end
end
local now_ms = math.floor(now / 1000)
local function next_fence()
  fence = math.max(fence + 1, now)
  return fence
end
-- For the next of several calls of one script.
local function next_moment()
  now = now + 1
  now_ms = math.floor(now / 1000)
end
-- Most scripts move only the first.
local function save_clock()
  local last = int(now)
  if offset == known_offset and fence == known_fence then return call('HSET', KEYS[1], 'last', last) end
  call('HSET', KEYS[1], 'last', last, 'offset', int(offset), 'fence', fence == now and last or int(fence))
end
