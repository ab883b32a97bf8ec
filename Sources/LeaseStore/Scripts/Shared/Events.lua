-- Events: the audit and live feed. In one piece, type, moment and fields with 0x1F between, which costs a fraction, where
-- every coordinator reads that; else each field by itself (docs/decisions/0014).
-- uses: Keys Clock
local function event(kind, ...)
  if now_ms < packed_until then
    call('XADD', P .. 'events', 'MAXLEN', '~', '10000', '*', 'event', table.concat({ kind, int(now_ms), ... }, '\31'))
  else
    call('XADD', P .. 'events', 'MAXLEN', '~', '10000', '*', 'type', kind, 'at', int(now_ms), ...)
  end
end
