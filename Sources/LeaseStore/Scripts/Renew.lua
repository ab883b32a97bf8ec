-- Renew: passes a holder's renewal on to the agent, which alone moves the deadline (design §4.3). A lease that is not
-- known here is the agent's to judge as well.
-- uses: Keys Clock Events Mail Match
-- calls: 4 words each
-- ARGV 1 lease, 2 token hash, 3 nonce, 4 coordinator
-- returns {"asked"} | {"gone", reason, by} | {"wrong-token"} | {"unheard"}
local lease = ARGV[1]
local state, token, reason, by = unpack(call('HMGET', P .. 'lease:' .. lease, 'state', 'token', 'reason', 'by'))
if state then
  if token ~= ARGV[2] or state == 'offered' then return { 'wrong-token' } end
  if state == 'ending' then return { 'gone', reason or '', by or '' } end
else
  local gone = call('GET', P .. 'gone:' .. lease)
  if gone then
    local reason, by = string.match(gone, '^(.-)\31(.*)$')
    return { 'gone', reason, by }
  end
end
if is_silent(host_of(lease)) then return { 'unheard' } end
tell_agent(host_of(lease), { 'renew', lease, ARGV[2], '', ARGV[3], ARGV[4] })
return { 'asked' }
