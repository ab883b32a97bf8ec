-- Leave: a coordinator stops; what it still has waiting goes.
-- uses: Keys Clock Events Mail Match Drop
-- ARGV 1 coordinator
-- returns {"ok"}
drop_tickets(ARGV[1], 100000)
call('ZREM', P .. 'coordinators', ARGV[1])
call('HDEL', P .. 'beats', ARGV[1])
call('SREM', P .. 'readers', ARGV[1])
save_clock()
send_mail()
return { 'ok' }
