-- Spare: a waiter wants the unit of a lease no more (docs/protocol.md §8).
-- uses: Keys Clock Events Mail Match Preemption
-- ARGV 1 ticket, 2 lease
-- returns {"spared"} | {"not-asked"}
local ticket, lease = ARGV[1], ARGV[2]
local record = lease_record(lease)
if not record or record.state ~= 'held' or preemptor(lease) ~= ticket then return { 'not-asked' } end
spare(lease, record)
tell_agent(host_of(lease), { 'spare', lease, ticket })
save_clock()
send_mail()
return { 'spared' }
