-- Release: a holder gives its lease back; the unit is matched again in the same script (design §4.4).
-- uses: Keys Clock Events Mail Match
-- calls: 7 words each
-- ARGV 1 "token", 2 lease, 3 token hash, 4 by  |  1 "holder", 2 caller, 3 holder, 4 by, 5 kind, 6 coordinator, 7 number of its
-- last heartbeat
-- returns {"released", n} | {"not-held"} | {"marked"} | {"late"}
local lease, record
if ARGV[1] == 'token' then
  lease = ARGV[2]
  record = lease_to_give_back(lease)
  if not record then
    mark_unknown(lease, ARGV[3], 'released')
    local heard = call('ZSCORE', P .. 'hosts', host_of(lease))
    return { heard and 'not-held' or 'marked' }
  end
  if record.token ~= ARGV[3] or record.state == 'offered' then return { 'not-held' } end
else
  -- Later it could meet this holder's next lease.
  if is_late(ARGV[6], ARGV[7]) then return { 'late' } end
  for _, id in ipairs(call('ZRANGE', P .. 'holder:' .. ARGV[2] .. '/' .. ARGV[3], 0, -1)) do
    local found = lease_to_give_back(id)
    if found and call('HGET', P .. 'unit:' .. found.unit, 'kind') == ARGV[5] then
      lease, record = id, found
      break
    end
  end
  if not record then return { 'not-held' } end
end
give_back(lease, record, 'released', ARGV[4])
if ARGV[1] == 'holder' then remember_gone(lease, 'released', ARGV[4]) end -- its token's owner may not know
return { 'released', 1 }, true
