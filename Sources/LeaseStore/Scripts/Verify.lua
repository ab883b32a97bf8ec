-- Verify: whether a fencing token is the present one of its unit, as the record has it now. Changes nothing. O(1).
-- A record that says "offered", or that its agent has not been heard of, is no word about a lease: another copy of Redis
-- may have taken the confirm, and the agent may hold it still.
-- uses: Keys Clock Events Mail Match
-- ARGV 1 unit, 2 fencing token
-- returns {"current", holder} | {"stale"} | {"unheard"} | {"unknown-unit"}
local unit = unit_record(ARGV[1])
if not unit then return { 'unknown-unit' } end
-- A lease of several units is named by another of them.
if string.match(unit.lease, '#(.*)$') ~= ARGV[2] then
  local is_unheard = unit.state == 'unheard' and call('EXISTS', P .. 'gone:' .. ARGV[1] .. '#' .. ARGV[2]) == 0
  return { is_unheard and 'unheard' or 'stale' }
end
local record = call('HMGET', P .. 'lease:' .. unit.lease, 'state', 'expires', 'holder')
if record[1] == 'offered' then return { 'unheard' } end
if record[1] ~= 'held' or (tonumber(record[2]) or 0) <= now_ms then return { 'stale' } end
return { 'current', record[3] }
