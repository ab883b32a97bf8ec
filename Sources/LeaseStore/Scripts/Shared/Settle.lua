-- Settle: a record that was emptied, or set back to an older copy, is filled again before anything is offered: coordinators
-- queue their waiters, agents say what they hold (docs/decisions/0009).
-- uses: Keys Clock Events Mail Match
local SETTLING_MS = 900 -- every coordinator has beaten
local LONGEST_SETTLING_MS = 5500 -- … and every agent that lives has spoken
local SETTLED_A_BEAT = 256

-- An event that the coordinator knows, and that is gone though older ones are here. One that was trimmed says nothing.
local function is_missing(event)
  local newest = call('XREVRANGE', P .. 'events', event, '-', 'COUNT', 1)[1]
  return newest and newest[1] ~= event
end

-- What is free here may have been taken: it is offered to nobody before the record has settled.
local function keep_apart()
  for _, kind in ipairs({ 'gpu', 'model-load' }) do
    for _, id in ipairs(call('ZRANGE', P .. 'free:' .. kind, 0, -1)) do call('ZADD', P .. 'settling', 0, id) end
  end
end

-- The first coordinator that finds its memory gone begins the settling. One that knew no pool has nothing to wait for.
local function note_loss(known, event, fresh, hosts)
  local epoch = call('HGET', KEYS[1], 'epoch')
  local is_older = known == epoch and is_missing(event)
  if epoch and not is_older and (known == '' or known == epoch or not is_settled) then return end
  if not epoch or is_older then call('HSET', KEYS[1], 'epoch', fresh) end
  call('HDEL', KEYS[1], 'settled')
  call('HSET', KEYS[1], 'settling', int(now_ms), 'settles', int(known == '' and now_ms or now_ms + SETTLING_MS), 'expected', hosts)
  call('DEL', P .. 'spoke')
  keep_apart()
  is_settled = false
  -- Agents that have not noticed would not speak before their next heartbeat is due.
  call('PUBLISH', P .. 'to:agents', 'forgotten')
end

-- Once all have spoken the units that were kept apart are matched, a bounded number a call. Returns 0 when that is done,
-- 1 while it has to wait, 2 where the next heartbeat goes on.
local function go_on_settling()
  if is_settled then return 0 end
  local saved = call('HMGET', KEYS[1], 'settling', 'settles', 'expected')
  if not saved[2] then -- a record of before there was settling
    keep_apart()
  elseif now_ms < tonumber(saved[2]) then
    return 1
  elseif call('SCARD', P .. 'spoke') < tonumber(saved[3] or 0) and now_ms < tonumber(saved[1] or 0) + LONGEST_SETTLING_MS then
    return 1
  end
  is_settled = true
  local units = call('ZREVRANGE', P .. 'settling', 0, SETTLED_A_BEAT - 1)
  for _, id in ipairs(units) do
    call('ZREM', P .. 'settling', id)
    local unit = unit_record(id)
    if unit and unit.state == 'free' then
      take_from_free(unit)
      settle(unit)
    end
  end
  if #units == SETTLED_A_BEAT then
    call('HSETNX', KEYS[1], 'settles', int(now_ms))
    return 2
  end
  call('DEL', P .. 'spoke')
  call('HSET', KEYS[1], 'settled', '1')
  return 0
end
