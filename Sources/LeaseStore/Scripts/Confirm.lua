-- Confirm: the agent takes an offer; the lease begins (design §4.2).
-- uses: Keys Clock Events Mail Session Match
-- calls: 4 words each
-- ARGV 1 host, 2 instance, 3 session, 4 lease
-- returns {"held"} | {"gone"} | {"unknown-host"} | {"stale-session"}
local trouble = session_trouble(ARGV)
if trouble then return { trouble } end
local lease = ARGV[4]
local key = P .. 'lease:' .. lease
local known = call('HMGET', key, 'state', 'unit', 'also', 'affinity', 'holder', 'caller', 'ticket', 'coordinator', 'priority',
  'selector', 'score', 'ttl', 'metadata', 'token', 'beat')
if known[1] ~= 'offered' then return { 'gone' } end
local record = { unit = known[2], also = known[3] or '', affinity = known[4] or '', holder = known[5], caller = known[6],
  ticket = known[7], coordinator = known[8], priority = known[9], selector = known[10], score = known[11], ttl = known[12],
  metadata = known[13], token = known[14], beat = known[15] }
local expires = int(now_ms + tonumber(record.ttl))
call('HSET', key, 'state', 'held', 'granted', int(now_ms), 'expires', expires)
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
return { 'held' }, true
