-- Cordon: a host's units are offered to nobody (or again), leases stand. Either ends a drain.
-- uses: Keys Clock Events Mail Match Drains
-- ARGV 1 host, 2 "1" or "0", 3 by, 4 why
-- returns {"ok"} | {"unknown-host"}
local host = ARGV[1]
local record = host_record(host)
if record.instance == '' then return { 'unknown-host' } end
call('HSET', P .. 'host:' .. host, 'cordoned', ARGV[2])
record.cordoned = ARGV[2]
forget_drain(host)
local units = {}
for id in string.gmatch(units_of_host(host), '%S+') do units[#units + 1] = id end
for _, unit in ipairs(scatter(host)) do settle(unit) end
for i = #units, 1, -1 do
  local unit = unit_record(units[i])
  if unit and unit.state == 'free' then
    take_from_free(unit)
    settle(unit)
  end
end
event(ARGV[2] == '1' and 'cordoned' or 'uncordoned', 'host', host, 'by', ARGV[3], 'why', ARGV[4])
save_clock()
send_mail()
return { 'ok' }
