-- Drain: a host is cordoned and its holders may finish; what stands when its time is over is revoked, found due by a
-- coordinator's heartbeat. Asked once more it takes the new time, author and reason.
-- uses: Keys Clock Events Mail Match Drains
-- ARGV 1 host, 2 ms after which the rest is revoked, or "", 3 by, 4 why
-- returns {"ok", leases that stand} | {"unknown-host"}
local host = ARGV[1]
local record = host_record(host)
if record.instance == '' then return { 'unknown-host' } end
call('HSET', P .. 'host:' .. host, 'cordoned', '1', 'draining', 'running', 'drain_by', ARGV[3], 'drain_why', ARGV[4])
record.cordoned = '1'
for id in string.gmatch(units_of_host(host), '%S+') do
  local unit = unit_record(id)
  if unit and unit.state == 'free' then take_from_free(unit) end
end
for _, unit in ipairs(scatter(host)) do settle(unit) end
local standing = empty(host, false)
if ARGV[2] == '' then
  call('ZREM', P .. 'drains', host)
else
  local beaten, at = drain_clock()
  -- Nothing was counted while no host was drained.
  if call('EXISTS', P .. 'drains') == 0 then at = now_ms end
  call('HSET', KEYS[1], 'beaten', int(beaten), 'beaten_at', int(at))
  call('ZADD', P .. 'drains', int(beaten + tonumber(ARGV[2])), host)
end
event('draining', 'host', host, 'left', ARGV[2], 'by', ARGV[3], 'why', ARGV[4])
save_clock()
send_mail()
return { 'ok', standing }
