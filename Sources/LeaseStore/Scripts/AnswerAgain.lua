-- AnswerAgain: a lease that stands for a waiting ticket is answered as a renewal, with a new token (design §4.8).
-- uses: Keys Clock Events Mail Match
-- ARGV 1 ticket, 2 coordinator, 3 new token hash, 4 nonce, 5 number of the coordinator's last heartbeat
-- Where its host is silent nobody can put a token in force: the lease, on which only this ticket's client could count, is
-- given back, and the ticket may be asked for again.
-- returns {"asked", lease, ttl ms} | {"given-up", score} | {"not-yours"} | {"unknown"} | {"late"}
if is_late(ARGV[2], ARGV[5]) then return { 'late' } end
local lease = call('HGET', P .. 'ticket:' .. ARGV[1], 'lease')
local record = lease and lease ~= '' and lease_record(lease)
if not record or record.state ~= 'held' then return { 'unknown' } end
if record.coordinator ~= ARGV[2] then return { 'not-yours' } end
if is_silent(host_of(lease)) then
  distrust(host_of(lease))
  give_back(lease, record, 'cancelled', 'its host is silent')
  save_clock()
  send_mail()
  return { 'given-up', record.score }
end
tell_agent(host_of(lease), { 'renew', lease, record.token, ARGV[3], ARGV[4], ARGV[2] })
send_mail()
return { 'asked', lease, record.ttl }
