-- Keep: looks after a pool from outside, as an operator or a disaster would.
-- KEYS 1 the pool's first key, ARGV 1 what, 2… with what
-- returns as said at each
local prefix = string.sub(KEYS[1], 1, -6)
local function keys(of) return redis.call('KEYS', (string.gsub(of, '[%[%]*?\\]', '\\%0')) .. '*') end
local function wipe(of) for _, key in ipairs(keys(of)) do redis.call('DEL', key) end end
local what = ARGV[1]
if what == 'flush' then -- nothing
  wipe(prefix)
elseif what == 'copy' then -- 2 the first key of the pool that gets the copy, nothing
  local other = string.sub(ARGV[2], 1, -6)
  wipe(other)
  for _, key in ipairs(keys(prefix)) do redis.call('COPY', key, other .. string.sub(key, #prefix + 1)) end
elseif what == 'pass' then -- 2 ms that pass in which all live on and nothing happens, 3 hosts, 4… hosts and coordinators; 1 or 0
  if redis.call('ZCARD', prefix .. 'offers') > 0 or redis.call('ZCARD', prefix .. 'lost') > 0 then return 0 end
  for i = 4, #ARGV do
    local set = prefix .. (i < 4 + tonumber(ARGV[3]) and 'hosts' or 'coordinators')
    if not redis.call('ZSCORE', set, ARGV[i]) then return 0 end
  end
  for i = 4, #ARGV do
    redis.call('ZINCRBY', prefix .. (i < 4 + tonumber(ARGV[3]) and 'hosts' or 'coordinators'), ARGV[2], ARGV[i])
  end
  return 1
elseif what == 'left' then -- the names of what is left of tickets and leases
  local left = {}
  for _, kind in ipairs({ 'ticket:', 'lease:', 'queue:', 'waiting:', 'holder:', 'offers', 'queues', 'conditional' }) do
    for _, key in ipairs(keys(prefix .. kind)) do left[#left + 1] = string.sub(key, #prefix + 1) end
  end
  table.sort(left)
  return left
end
return 0
