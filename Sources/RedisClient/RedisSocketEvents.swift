import CSystem

/// What hiredis wants of a loop: to read what comes, and to write what it has gathered.
///
/// A connection is read for as long as it lasts, and what the commands of one turn have gathered is written at its end,
/// straight into the socket. hiredis' own adapter for libevent registers with the kernel anew for each of both, which is
/// two system calls a command and two an answer, and waits for a turn in which the socket is found to be writable, as it
/// always is.
final class RedisSocketEvents {
    private let context: UnsafeMutablePointer<redisAsyncContext>
    private var readable: OpaquePointer?
    /// Waits for room in the socket: while connecting, and when the kernel has not taken everything.
    private var writable: OpaquePointer?
    private var turnEnd: TurnEnd?
    private var isWriting = false

    /// Attaches to a context that hiredis has just made. Lives until hiredis frees the context, which is always before
    /// the loop goes.
    static func attach(to context: UnsafeMutablePointer<redisAsyncContext>, _ base: OpaquePointer) {
        let events = RedisSocketEvents(context)
        let data = Unmanaged.passRetained(events).toOpaque()  // released by `cleanup`
        let descriptor = context.pointee.c.fd
        events.readable = event_new(base, descriptor, Int16(EV_READ | EV_PERSIST), socketReadable, data)
        events.writable = event_new(base, descriptor, Int16(EV_WRITE), socketWritable, data)
        events.turnEnd = TurnEnd(base) { [weak events] in events?.write() }
        context.pointee.ev.addRead = { _ in }  // it is read all the time
        context.pointee.ev.delRead = { _ in }
        context.pointee.ev.addWrite = { socketEvents($0)?.wantWrite() }
        context.pointee.ev.delWrite = { socketEvents($0)?.doneWriting() }
        context.pointee.ev.cleanup = { data in
            if let data { Unmanaged<RedisSocketEvents>.fromOpaque(data).takeRetainedValue().end() }
        }
        context.pointee.ev.data = data
        _ = shim_reply_begin(context.pointee.c.reader)
        event_add(events.readable, nil)
    }

    /// Writes at once what has been gathered so far. The context may be gone afterwards.
    static func flush(_ context: UnsafeMutablePointer<redisAsyncContext>) {
        guard let events = socketEvents(context.pointee.ev.data), events.isConnected, !events.isWriting else { return }
        events.write()
    }

    private init(_ context: UnsafeMutablePointer<redisAsyncContext>) { self.context = context }

    private var isConnected: Bool { context.pointee.c.flags & REDIS_CONNECTED != 0 }

    private func wantWrite() {
        if isConnected, !isWriting {
            turnEnd?.arm()
        } else {
            event_add(writable, nil)
        }
    }

    private func doneWriting() { event_del(writable) }

    fileprivate func read() { redisAsyncHandleRead(context) }

    fileprivate func write() {
        isWriting = true
        redisAsyncHandleWrite(context)  // may free the context, and with it end these events
        isWriting = false
    }

    private func end() {
        for event in [readable, writable] { event.map { event_free($0) } }
        readable = nil
        writable = nil
        turnEnd = nil
        // hiredis frees the reader next, and has called back for the last time.
        shim_reply_end(context.pointee.c.reader)
    }
}

private func socketEvents(_ data: UnsafeMutableRawPointer?) -> RedisSocketEvents? {
    data.map { Unmanaged<RedisSocketEvents>.fromOpaque($0).takeUnretainedValue() }
}

private func socketReadable(_ descriptor: Int32, _ what: Int16, _ data: UnsafeMutableRawPointer?) {
    socketEvents(data)?.read()
}

private func socketWritable(_ descriptor: Int32, _ what: Int16, _ data: UnsafeMutableRawPointer?) {
    socketEvents(data)?.write()
}
