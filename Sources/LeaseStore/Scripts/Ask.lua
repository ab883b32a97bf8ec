-- Ask: queues a ticket, or finds what became of it, and matches (design §4.1). O(log waiters).
-- uses: Keys Clock Events Mail Match
-- calls: 16 words each
-- ARGV 1 ticket, 2 selector, 3 holder, 4 caller, 5 priority, 6 ttl ms, 7 coordinator, 8 token hash, 9 metadata,
-- 10 aging µs per point, 11 "" | "new": nobody can have asked for it before | its old score: asked again by its coordinator,
-- 12 coordinator presence ms, 13 affinity or "", 14 grace ms, 15 number of the coordinator's last heartbeat, 16 ms that units
-- are held back at first where the selector takes several
-- returns {"queued", score} | {"offered", score} | {"held", lease} | {"refused", by, why} | {"moved"} | {"unknown-host"} | {"unknown-unit"}
-- | {"name-taken"}: the ticket is that of another holder or selector | {"late"}
local ticket, selector, coordinator = ARGV[1], ARGV[2], ARGV[7]
local is_new = ARGV[11] == 'new'
local again = tonumber(ARGV[11])
local beat = last_beat(coordinator)
-- Sent on an earlier connection than the coordinator has now: see is_late.
if beat and tonumber(beat) > tonumber(ARGV[15]) then return { 'late' } end
local refused = not is_new and call('GET', P .. 'refused:' .. ticket)
if refused then
  local by, why = string.match(refused, '^(.-)\31(.*)$')
  return { 'refused', by, why }
end
local known = is_new and {} or call('HMGET', P .. 'ticket:' .. ticket, 'lease', 'coordinator', 'score', 'selector', 'holder')
if known[1] and known[1] ~= '' then
  local lease = known[1]
  local record = lease_record(lease)
  if record then
    if record.selector ~= selector or record.holder ~= ARGV[3] then return { 'name-taken' } end
    if record.coordinator ~= coordinator then
      if again then return { 'moved' } end
      tell_coordinator(record.coordinator, { 'moved', ticket })
      call('HSET', P .. 'lease:' .. lease, 'coordinator', coordinator, 'beat', '')
      if record.state == 'offered' then
        call('SREM', P .. 'waiting:' .. record.coordinator, ticket)
        call('SADD', P .. 'waiting:' .. coordinator, ticket)
      end
    end
    if record.state == 'offered' then return { 'offered', record.score } end
    return { 'held', lease }
  end
elseif known[2] then
  if known[4] ~= selector or known[5] ~= ARGV[3] then return { 'name-taken' } end
  local moves = known[2] ~= coordinator
  if moves then
    if again then return { 'moved' } end
    tell_coordinator(known[2], { 'moved', ticket })
    call('SREM', P .. 'waiting:' .. known[2], ticket)
    call('SADD', P .. 'waiting:' .. coordinator, ticket)
  end
  if not again then
    call('HSET', P .. 'ticket:' .. ticket, 'coordinator', coordinator, 'token', ARGV[8], 'ttl', ARGV[6], 'metadata', ARGV[9],
      'affinity', ARGV[13], 'grace', ARGV[14])
  end
  if moves then waits('requeued', ticket_terms(ticket)) end -- every copy of the pool says where it waits
  return { 'queued', known[3] }, moves
end
if not again then
  local scope, place = string.match(selector, '/(%a+)=([^?]*)')
  if scope == 'host' and call('EXISTS', P .. 'host:' .. place) == 0 then return { 'unknown-host' } end
  if scope == 'unit' and call('EXISTS', P .. 'unit:' .. place) == 0 then return { 'unknown-unit' } end
end
local score = now + tonumber(ARGV[5]) * tonumber(ARGV[10])
if again then score = math.min(score, again) end
score = int(score)
local terms = { ticket = ticket, selector = selector, holder = ARGV[3], caller = ARGV[4], priority = ARGV[5],
  ttl = ARGV[6], coordinator = coordinator, token = ARGV[8], metadata = ARGV[9], score = score,
  affinity = ARGV[13], grace = ARGV[14] }
call('SADD', P .. 'waiting:' .. coordinator, ticket)
-- One that has beaten is among them until it is swept.
if not beat then
  call('ZADD', P .. 'coordinators', 'NX', now_ms + tonumber(ARGV[12]), coordinator)
end
local most = width(selector)
local unit = most == 1 and free_unit(selector, terms.affinity)
if unit then
  take_from_free(unit)
elseif most == 1 then
  unit = reserved_unit(selector, tonumber(score))
end
local word = 'queued'
if unit then
  offer(unit, terms)
  word = 'offered'
else
  local record = { 'affinity', terms.affinity }
  for _, name in ipairs(terms_names) do
    record[#record + 1] = name
    record[#record + 1] = terms[name]
  end
  if most > 1 then
    record[#record + 1] = 'gather'
    record[#record + 1] = ARGV[16]
  end
  call('HSET', P .. 'ticket:' .. ticket, unpack(record))
  enqueue(ticket, selector, score)
  waits('queued', terms)
  if most > 1 and find_several(terms, most) then word = 'offered' end
end
return { word, score }, true
