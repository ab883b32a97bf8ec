-- Events: the audit and live feed.
-- uses: Keys Clock
local function event(kind, ...)
  call('XADD', P .. 'events', 'MAXLEN', '~', '10000', '*', 'type', kind, 'at', int(now_ms), ...)
end
