-- Session: is the calling agent still the one that speaks for its host? `words`: 1 host, 2 instance, 3 session.
-- "stale-session" only where a successor or a later session is known; a record from an older copy of Redis says
-- "unknown-host", which the agent answers with a heartbeat.
-- uses: Keys Mail
local function session_trouble(words)
  SELF = words[1]
  local record = host_record(SELF)
  if record.instance == words[2] and record.session == words[3] then return nil end
  if record.instance == words[2] and tonumber(record.session) > tonumber(words[3]) then return 'stale-session' end
  if call('EXISTS', P .. 'succeeded:' .. words[2]) == 1 then return 'stale-session' end
  return 'unknown-host'
end
