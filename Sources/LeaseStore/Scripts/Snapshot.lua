-- Snapshot: hosts, units and leases, and the ids of all waiting tickets, for a coordinator's own copy. Reads the fleet:
-- once at start and after a change of hosts, never on the hot path.
-- uses: Keys Clock Mail
-- returns {last event id, pool ms, {host, instance, address, version, labels, present, cordoned, units,
--          draining, ms until the rest is revoked or "", …},
--          {unit, host, kind, vram, type, details, labels, state, lease, …}, {lease fields…}, {tickets}}
local last = call('XREVRANGE', P .. 'events', '+', '-', 'COUNT', 1)[1]
local lease_fields = { 'holder', 'caller', 'ticket', 'coordinator', 'priority', 'selector', 'score', 'ttl', 'metadata',
  'grace', 'state', 'granted', 'expires', 'preemption', 'also' }
local host_rows, unit_rows, lease_rows, tickets, seen = {}, {}, {}, {}, {}
local function add(rows, first, values, count)
  rows[#rows + 1] = first
  for i = 1, count do rows[#rows + 1] = values[i] or '' end
end
local beaten = tonumber(call('HGET', KEYS[1], 'beaten')) or 0
for _, set in ipairs({ 'hosts', 'lost' }) do
  for _, host in ipairs(call('ZRANGE', P .. set, 0, -1)) do
    local row = call('HMGET', P .. 'host:' .. host, 'instance', 'address', 'version', 'labels', 'suspect', 'cordoned', 'units',
      'draining')
    row[5] = set == 'hosts' and '1' or '0'
    local ends = row[8] == 'running' and call('ZSCORE', P .. 'drains', host)
    row[9] = ends and int(math.max(0, ends - beaten)) or ''
    add(host_rows, host, row, 9)
    for id in string.gmatch(row[7] or '', '%S+') do
      local unit = call('HMGET', P .. 'unit:' .. id, 'host', 'kind', 'vram', 'type', 'details', 'labels', 'state', 'lease')
      add(unit_rows, id, unit, 8)
      if unit[8] and unit[8] ~= '' and not seen[unit[8]] then
        seen[unit[8]] = true
        add(lease_rows, unit[8], call('HMGET', P .. 'lease:' .. unit[8], unpack(lease_fields)), 15)
      end
    end
  end
end
for _, selector in ipairs(call('SMEMBERS', P .. 'queues')) do
  for _, ticket in ipairs(call('ZRANGE', P .. 'queue:' .. selector, 0, -1)) do tickets[#tickets + 1] = ticket end
end
return { last and last[1] or '0-0', int(now_ms), host_rows, unit_rows, lease_rows, tickets }
