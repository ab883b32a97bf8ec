-- Revoke: an admin ends leases: each is marked as ending, its agent stops what runs and says when it is gone (design §4.6).
-- Walks the scope: an emergency call, not the hot path.
-- uses: Keys Clock Events Mail Match
-- ARGV 1 scope: all, host, unit, holder, lease; 2 its name; 3 mode: reset, force-release-all, revoke; 4 by; 5 why; 6 ms to remember refusals
-- returns {{ending leases}, {withdrawn offers}, refused tickets}
local scope, name, mode, by, why = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local reason = mode == 'force-release-all' and 'force-released' or mode == 'reset' and 'reset' or 'revoked'
local ending, withdrawn, refused = {}, {}, 0

local function refuse(ticket, holder, coordinator)
  call('SET', P .. 'refused:' .. ticket, by .. '\31' .. why, 'PX', ARGV[6])
  call('DEL', P .. 'ticket:' .. ticket)
  call('SREM', P .. 'waiting:' .. coordinator, ticket)
  event('refused', 'ticket', ticket, 'holder', holder, 'by', by, 'why', why)
  tell_coordinator(coordinator, { 'refused', ticket, by, why })
  refused = refused + 1
end

local units = {}
if scope == 'unit' then
  units = { name }
elseif scope == 'lease' then
  units = { unit_of(name) }
else
  local all = scope == 'host' and { name } or call('ZRANGE', P .. 'hosts', 0, -1)
  if scope ~= 'host' then
    for _, host in ipairs(call('ZRANGE', P .. 'lost', 0, -1)) do all[#all + 1] = host end
  end
  for _, host in ipairs(all) do
    for id in string.gmatch(units_of_host(host), '%S+') do units[#units + 1] = id end
  end
end

-- Waiters first, so that no unit that becomes free below is offered to one of them.
if mode == 'force-release-all' then
  for _, selector in ipairs(call('SMEMBERS', P .. 'queues')) do
    local place = string.match(selector, '/%a+=([^?]*)') or ''
    local bound = scope == 'all' or (scope == 'host' and (place == name or string.match(place, '^([^/]*)/') == name))
      or (scope == 'unit' and place == name)
    if bound or scope == 'holder' then
      for _, ticket in ipairs(call('ZRANGE', P .. 'queue:' .. selector, 0, -1)) do
        local known = call('HMGET', P .. 'ticket:' .. ticket, 'holder', 'coordinator')
        if bound or known[1] == name then
          leave(ticket, selector)
          refuse(ticket, known[1] or '', known[2] or '')
        end
      end
    end
  end
end

local freed, seen = {}, {}
for _, id in ipairs(units) do
  local unit = unit_record(id)
  local lease = unit and unit.lease
  local record = lease and lease ~= '' and not seen[lease] and lease_record(lease)
  if record then seen[lease] = true end
  if record and (scope ~= 'holder' or record.holder == name) and (scope ~= 'lease' or lease == name) then
    if record.state == 'offered' then
      if mode == 'force-release-all' then
        mark_ended(lease, record.token, 'withdrawn')
        withdraw(lease, record, 'withdrawn')
        refuse(record.ticket, record.holder, record.coordinator)
        withdrawn[#withdrawn + 1] = lease
        freed[#freed + 1] = { lease, record }
      end
    else
      revoke(lease, record, reason, by, why)
      ending[#ending + 1] = lease
    end
  end
end
for _, over in ipairs(freed) do settle_all(over[1], over[2]) end
if #ending == 0 and #withdrawn == 0 and refused == 0 then
  event(reason, 'scope', scope, 'name', name, 'by', by, 'why', why, 'state', '')
end
save_clock()
send_mail()
return { ending, withdrawn, refused }
