-- Calls: stands behind a script that takes several calls at once, and makes them one after the other, each at a moment of
-- its own. What they have in common is done once: the clock is read and saved, mail is sent, hosts are looked up.
-- uses: Keys Clock Mail
-- `once` is the script, with the words of one call in ARGV; it returns its answer, and true where the record has changed.
-- ARGV the calls, and last how many words each has
-- returns {answers}
local answers, count, has_changed = {}, #ARGV - 1, false
local words = tonumber(ARGV[count + 1])
for first = 1, count, words do
  if first > 1 then next_moment() end
  local ok, answer, changed = pcall(once, count == words and ARGV or { unpack(ARGV, first, first + words - 1) })
  if not ok then
    local text = type(answer) == 'table' and answer.err or 'ERR ' .. tostring(answer)
    -- What the server refuses it refuses every call, at the first write. A broken record concerns the call that met it.
    local is_refusal = not (string.find(text, '^ERR') or string.find(text, '^WRONGTYPE'))
    if count == words or (is_refusal and not has_changed) then return { err = text } end
    answer, changed = { err = text }, true
  end
  answers[#answers + 1] = answer
  has_changed = has_changed or changed
end
if has_changed then save_clock() end
send_mail()
return answers
