-- Reject: the agent does not take an offer. The ticket goes back with its score; the unit waits for the heartbeat
-- that follows (design §4.2).
-- uses: Keys Clock Events Mail Session Match
-- ARGV 1 host, 2 instance, 3 session, 4 lease, 5 highest fencing of the unit, 6 why
-- returns {"ok"} | {"unknown-host"} | {"stale-session"}
local trouble = session_trouble(ARGV)
if trouble then return { trouble } end
fence = math.max(fence, tonumber(ARGV[5]))
local lease = ARGV[4]
local record = lease_record(lease)
if record and record.state == 'offered' then
  remove_lease(lease, record)
  lease_event('rejected', lease, record, 'unheard', SELF, ARGV[6])
  for _, unit in ipairs(units_of(lease, record)) do set_state(unit, 'unheard') end
  requeue(record)
end
save_clock()
send_mail()
return { 'ok' }
