-- Session: is the calling agent still the one that speaks for its host? ARGV 1 host, 2 instance, 3 session.
-- "stale-session" only where a successor or a later session is known; a record from an older copy of Redis says
-- "unknown-host", which the agent answers with a heartbeat.
-- uses: Keys Mail
SELF = ARGV[1]
local function session_trouble()
  local record = host_record(SELF)
  if record.instance == ARGV[2] and record.session == ARGV[3] then return nil end
  if record.instance == ARGV[2] and tonumber(record.session) > tonumber(ARGV[3]) then return 'stale-session' end
  if call('EXISTS', P .. 'succeeded:' .. ARGV[2]) == 1 then return 'stale-session' end
  return 'unknown-host'
end
