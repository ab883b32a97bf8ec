-- Drains: hosts that are being emptied. Their time is counted by coordinators' heartbeats, each of which counts what has
-- passed since the one before and a second at most, so that a step of the server's wall clock ends no lease
-- (docs/decisions/0005).
-- uses: Keys Clock Events Mail Match
local MOST_A_BEAT_MS = 1000
local LOOK_AGAIN_MS = 5000
local function drain_clock()
  local known = call('HMGET', KEYS[1], 'beaten', 'beaten_at')
  return tonumber(known[1]) or 0, tonumber(known[2]) or now_ms
end

-- Takes back the offers of a cordoned host, and with `force` ends its leases. Returns how many leases stand.
local function empty(host, force)
  local known = call('HMGET', P .. 'host:' .. host, 'drain_by', 'drain_why')
  local by, why = known[1] or '', known[2] or ''
  local standing = 0
  for id in string.gmatch(units_of_host(host), '%S+') do
    local unit = unit_record(id)
    local lease = unit and unit.lease
    local record = lease and lease ~= '' and lease_record(lease)
    if record and record.unit ~= id then
      record = nil -- looked at with the first unit of its lease
    end
    if record and record.state == 'offered' then
      withdraw(lease, record, 'withdrawn')
      settle_all(lease, record)
      requeue(record)
    elseif record then
      standing = standing + 1
      if force and record.state == 'held' then
        revoke(lease, record, 'force-released', by, why ~= '' and why or 'its host was drained')
      end
    end
  end
  return standing
end

-- One heartbeat's worth of time, and what it brings to an end: a bounded number of hosts a call.
local function count_drains()
  if call('EXISTS', P .. 'drains') == 0 then return end
  local beaten, at = drain_clock()
  beaten = beaten + math.max(0, math.min(now_ms - at, MOST_A_BEAT_MS))
  call('HSET', KEYS[1], 'beaten', int(beaten), 'beaten_at', int(now_ms))
  for _, host in ipairs(call('ZRANGEBYSCORE', P .. 'drains', '-inf', int(beaten), 'LIMIT', 0, 8)) do
    local standing = empty(host, true)
    if call('HGET', P .. 'host:' .. host, 'draining') == 'running' then
      call('HSET', P .. 'host:' .. host, 'draining', 'over')
      event('drain-over', 'host', host)
    end
    -- What a heartbeat restores on it later ends too.
    if standing > 0 then
      call('ZADD', P .. 'drains', int(beaten + LOOK_AGAIN_MS), host)
    else
      call('ZREM', P .. 'drains', host)
    end
  end
end
local function forget_drain(host)
  call('ZREM', P .. 'drains', host)
  call('HDEL', P .. 'host:' .. host, 'draining', 'drain_by', 'drain_why')
end
