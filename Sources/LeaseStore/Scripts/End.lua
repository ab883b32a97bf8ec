-- End: the agent says that a lease has ended: by its own clock, or because what an admin revoked is gone (design §4.5, §4.6).
-- uses: Keys Clock Events Mail Session Match
-- ARGV 1 host, 2 instance, 3 session, 4 lease, 5 reason
-- returns {"ended", own mail} | {"unknown-lease", ""} | {"unknown-host"} | {"stale-session"}
local trouble = session_trouble(ARGV)
if trouble then return { trouble } end
local lease, reason = ARGV[4], ARGV[5]
local record = lease_record(lease)
if not record then return { 'unknown-lease', '' } end
if record.state == 'ending' and record.reason ~= '' then reason = record.reason end
remove_lease(lease, record)
remember_gone(lease, reason, record.by)
lease_event(reason, lease, record, 'free', record.by, record.why)
settle_all(lease, record)
save_clock()
send_mail()
return { 'ended', own_mail() }
