-- Keys: every key of a pool begins with the prefix of KEYS[1] = lh:{POOL}:clock.
-- Numbers above 10^14 lose digits in Lua's own conversion to text: they pass through int(). %d takes 64 bits here, and
-- costs a fraction of %.0f.
local P = string.sub(KEYS[1], 1, -6)
local call = redis.call
local function int(number) return string.format('%d', number) end
local function fields(names, values)
  local record = {}
  for i = 1, #names do record[names[i]] = values[i] or '' end
  return record
end
