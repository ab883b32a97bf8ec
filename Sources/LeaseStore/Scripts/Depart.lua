-- Depart: an agent stops. Its leases stand; its units are offered to nobody until it is back.
-- uses: Keys Clock Events Mail Session Match
-- ARGV 1 host, 2 instance, 3 session, 4 ms after which its records are dropped
-- returns {"ok"} | {"unknown-host"} | {"stale-session"}
local trouble = session_trouble(ARGV)
if trouble then return { trouble } end
distrust(SELF)
call('ZREM', P .. 'hosts', SELF)
call('ZADD', P .. 'lost', now_ms + tonumber(ARGV[4]), SELF)
event('host-left', 'host', SELF)
save_clock()
send_mail()
return { 'ok' }
