-- Insist: the agent says that a holder was asked and has had its grace. Where the waiter still waits the lease ends, as an
-- admin's revoke ends it (design §4.6); else its holder is asked no more.
-- uses: Keys Clock Events Mail Session Match Preemption
-- ARGV 1 host, 2 instance, 3 session, 4 lease, 5 ticket, 6 by
-- returns {"ending"} | {"spared"} | {"unknown-lease"} | {"unknown-host"} | {"stale-session"}
local trouble = session_trouble(ARGV)
if trouble then return { trouble } end
local lease, ticket, by = ARGV[4], ARGV[5], ARGV[6]
local record = lease_record(lease)
if not record then return { 'unknown-lease' } end
if record.state == 'ending' then return { 'ending' } end
if record.state ~= 'held' or not still_waits(ticket) then
  if preemptor(lease) == ticket then
    spare(lease, record)
    save_clock()
  end
  return { 'spared' }
end
local known = call('HMGET', P .. 'ticket:' .. ticket, 'holder', 'priority')
local why = 'preempted by ' .. known[1] .. ' (priority ' .. known[2] .. ')'
mark_ending(lease, record, 'preempted', by, why)
call('HSET', P .. 'lease:' .. lease, 'preemptor', ticket)
save_clock()
return { 'ending' }
