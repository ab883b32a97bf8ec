-- Heartbeat: an agent registers and says what it knows of every unit; the difference is mended (design §6).
-- The agent's word wins, except where a word about that very lease (released, cancelled, revoked) is waiting for it.
-- uses: Keys Clock Events Mail Match Compare
-- ARGV 1 host, 2 instance, 3 session, 4 the instances before it that its journal names, each with a space behind it, 5 "1" for the first of a session, 6 address, 7 version,
-- 8 labels as ",name=value,", 9 presence ms, 10 number of units, then for each unit: unit, kind, vram, type, details,
-- highest fencing, state (free, resting, bound, confirming, held, ending), for bound, a further unit of a lease, its lease, and
-- for the last three: lease, token hash, remaining ms, holder, caller, ticket, coordinator, priority, selector, score, ttl, metadata, grace ms
-- returns {"heard", own mail} | {"host-in-use", instance} | {"stale-session"} | {"succeeds-another", instance, last fencing token}:
-- an agent with another journal has spoken for this host
local host, instance, session, first = ARGV[1], ARGV[2], ARGV[3], ARGV[5] == '1'
SELF = host
local record = host_record(host)
local before, units_before = record.instance, units_of_host(host)
if before ~= '' and before ~= instance then
  if call('EXISTS', P .. 'succeeded:' .. instance) == 1 then return { 'stale-session' } end
  local presence = call('ZSCORE', P .. 'hosts', host)
  if not string.find(' ' .. ARGV[4], ' ' .. before .. ' ', 1, true) then
    if presence and tonumber(presence) > now_ms then return { 'host-in-use', before } end
    return { 'succeeds-another', before, int(fence) }
  end
  call('SET', P .. 'succeeded:' .. before, host, 'EX', 86400)
elseif before == instance and tonumber(record.session) > tonumber(session) then
  return { 'stale-session' }
end

local reports, ids, static, at = {}, {}, { ARGV[6], ARGV[7], ARGV[8] }, 11
local bound, also, firsts = {}, {}, {}
for _ = 1, tonumber(ARGV[10]) do
  local report = { id = ARGV[at], kind = ARGV[at + 1], vram = ARGV[at + 2], type = ARGV[at + 3], details = ARGV[at + 4],
    fencing = tonumber(ARGV[at + 5]), state = ARGV[at + 6] }
  for i = 0, 4 do static[#static + 1] = ARGV[at + i] end
  at = at + 7
  if report.state == 'bound' then
    report.lease = ARGV[at]
    also[report.lease] = also[report.lease] and also[report.lease] .. ' ' .. report.id or report.id
    bound[#bound + 1] = report
    at = at + 1
  elseif report.state ~= 'free' and report.state ~= 'resting' then
    report.lease, report.token, report.remaining = ARGV[at], ARGV[at + 1], tonumber(ARGV[at + 2])
    report.terms = { token = report.token }
    for i = 1, #terms_names - 1 do report.terms[terms_names[i]] = ARGV[at + 2 + i] end
    at = at + 2 + #terms_names
  end
  if report.token then firsts[report.lease] = report end
  fence = math.max(fence, report.fencing)
  reports[#reports + 1] = report
  ids[#ids + 1] = report.id
end

local print = redis.sha1hex(table.concat(static, '\31'))
local changed = before ~= instance or call('HGET', P .. 'host:' .. host, 'print') ~= print
record.instance, record.session, record.suspect = instance, session, ''
call('HSET', P .. 'host:' .. host, 'instance', instance, 'session', session, 'address', ARGV[6], 'version', ARGV[7],
  'labels', ARGV[8], 'suspect', '', 'units', table.concat(ids, ' '), 'print', print)
call('ZADD', P .. 'hosts', now_ms + tonumber(ARGV[9]), host)
local was_lost = call('ZREM', P .. 'lost', host) == 1
if not is_settled then call('SADD', P .. 'spoke', host) end

local marks = read_marks(host, reports)
local present = {}
local function enter(report)
  present[report.id] = true
  local unit = unit_record(report.id)
  if changed or not unit then
    call('HSET', P .. 'unit:' .. report.id, 'host', host, 'kind', report.kind, 'vram', report.vram, 'type', report.type,
      'details', report.details, 'labels', ARGV[8])
    if unit and unit.state == 'free' then
      take_from_free(unit)
      call('HSET', P .. 'unit:' .. report.id, 'state', 'unheard')
    end
    unit = unit_record(report.id)
  end
  return unit
end
-- Before anything becomes free: what is bound must not go with it, unless its lease is over.
local standing = {}
for _, report in ipairs(bound) do
  local unit, one = enter(report), firsts[report.lease]
  local token, reason = word_about(one or {}, marks[report.lease])
  if token then
    tell_agent(host, { 'end', report.lease, token, reason })
  else
    take_from_free(unit)
    standing[#standing + 1] = report
  end
end
for _, report in ipairs(standing) do bind(unit_record(report.id), report) end
-- From behind: of several that become free at once the first of the host is then the first to be taken.
for i = #reports, 1, -1 do
  local report = reports[i]
  report.also = report.lease and also[report.lease] or ''
  if report.state ~= 'bound' then compare(enter(report), report, marks[report.lease or ''], first) end
end
for id in string.gmatch(units_before, '%S+') do
  if not present[id] then forget_unit(id) end
end
if changed then
  event('registered', 'host', host)
elseif was_lost then
  event('host-back', 'host', host)
end
save_clock()
send_mail()
return { 'heard', own_mail() }
