-- Confirm: the agent takes an offer; the lease begins (design §4.2).
-- uses: Keys Clock Events Mail Session Match
-- ARGV 1 host, 2 instance, 3 session, 4 lease
-- returns {"held"} | {"gone"} | {"unknown-host"} | {"stale-session"}
local trouble = session_trouble()
if trouble then return { trouble } end
local lease = ARGV[4]
local record = lease_record(lease)
if not record or record.state ~= 'offered' then return { 'gone' } end
local expires = int(now_ms + tonumber(record.ttl))
call('HSET', P .. 'lease:' .. lease, 'state', 'held', 'granted', int(now_ms), 'expires', expires)
mark_units(record, 'held')
call('ZREM', P .. 'offers', lease)
call('SREM', P .. 'waiting:' .. record.coordinator, record.ticket)
call('ZADD', P .. 'holder:' .. record.caller .. '/' .. record.holder, string.match(lease, '#(.*)$'), lease)
if record.affinity ~= '' then warm_units(record) end
event('granted', 'unit', record.unit, 'lease', lease, 'holder', record.holder, 'caller', record.caller, 'ticket',
  record.ticket, 'priority', record.priority, 'ttl', record.ttl, 'expires', expires, 'metadata', record.metadata,
  'coordinator', record.coordinator, 'selector', record.selector, 'score', record.score,
  spanning(record))
local message = { 'granted', record.ticket, lease, record.token, record.ttl, record.beat }
if record.also ~= '' then message[#message + 1] = record.also end
tell_coordinator(record.coordinator, message)
save_clock()
send_mail()
return { 'held' }
