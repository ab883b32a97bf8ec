-- Renewed: the agent has moved a lease's deadline, or refuses to; the word goes on to the coordinator that asked, also
-- where Redis has lost the lease: the agent is the authority (design §4.3).
-- uses: Keys Clock Events Mail Session Match
-- calls: 10 words each
-- ARGV 1 host, 2 instance, 3 session, 4 lease, 5 nonce, 6 coordinator, 7 token hash, 8 ttl ms, 9 reason of refusal or "",
-- 10 the units that the lease spans beside its first, or ""
-- returns {"ok"} | {"unknown-host"} | {"stale-session"}
local trouble = session_trouble(ARGV)
if trouble == 'stale-session' then return { trouble } end
local lease, is_known = ARGV[4], false
if ARGV[9] ~= '' then
  tell_coordinator(ARGV[6], { 'renewal-refused', lease, ARGV[5], ARGV[9] })
else
  local state, token, unit, holder = unpack(call('HMGET', P .. 'lease:' .. lease, 'state', 'token', 'unit', 'holder'))
  if state == 'held' then
    local expires = int(now_ms + tonumber(ARGV[8]))
    call('HSET', P .. 'lease:' .. lease, 'token', ARGV[7], 'expires', expires)
    -- Answered again: the ticket is that coordinator's, also where this is an older copy.
    if token ~= ARGV[7] then call('HSET', P .. 'lease:' .. lease, 'coordinator', ARGV[6]) end
    event('renewed', 'unit', unit, 'lease', lease, 'holder', holder, 'expires', expires)
    is_known = true
  end
  tell_coordinator(ARGV[6], { 'renewed', lease, ARGV[5], ARGV[8], ARGV[10] ~= '' and ARGV[10] or nil })
end
return { trouble or 'ok' }, is_known
