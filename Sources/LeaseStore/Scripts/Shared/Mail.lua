-- Mail: messages gathered while a script runs, one publish an addressee. What concerns the calling agent comes back in
-- the answer instead (SELF is its host, set by Session).
-- uses: Keys
local SELF
local boxes, order = {}, {}
local hosts = {}
local function host_record(host)
  if not hosts[host] then
    local known = call('HMGET', P .. 'host:' .. host, 'instance', 'session', 'cordoned', 'suspect')
    hosts[host] = { instance = known[1] or '', session = known[2] or '', cordoned = known[3] or '', suspect = known[4] or '' }
  end
  return hosts[host]
end
-- The names of its units, with spaces between.
local function units_of_host(host) return call('HGET', P .. 'host:' .. host, 'units') or '' end
local function put(address, message)
  local box = boxes[address]
  if not box then
    box = {}
    boxes[address] = box
    order[#order + 1] = address
  end
  box[#box + 1] = table.concat(message, '\31')
end
local function tell_agent(host, message)
  if host == SELF then return put('', message) end
  local record = host_record(host)
  if record.instance == '' then return end
  if not boxes[record.instance] then put(record.instance, { record.session }) end
  put(record.instance, message)
end
local function tell_coordinator(coordinator, message)
  if coordinator ~= '' then put(coordinator, message) end
end
local function own_mail() return boxes[''] and table.concat(boxes[''], '\30') or '' end
local function send_mail()
  for _, address in ipairs(order) do
    if address ~= '' then call('PUBLISH', P .. 'to:' .. address, table.concat(boxes[address], '\30')) end
  end
end
