/// Every bound of this room, with its reason and what a client sees when it is reached.
package struct HTTPLimits: Sendable {
    // MARK: Server, one request

    /// Bytes of a request line and its headers; more is answered 431. Browsers send a tenth of it.
    package var headBytes = 16 << 10
    /// Bytes of a request target; more is answered 414.
    package var targetBytes = 8 << 10
    /// Header fields of a request; more is answered 431.
    package var headerFields = 100
    /// Bytes of a request's body, chunked or not; more is answered 413, before it is read where it is announced.
    package var bodyBytes = 64 << 10
    /// From a request's first byte to its last, however busily they trickle; then 408.
    package var requestDeadline = Duration.seconds(10)

    // MARK: Server, one connection

    /// Between two requests; then the connection is closed. Longer than a client or proxy keeps one, so that it is
    /// they who close and no request meets a closing connection.
    package var idleTimeout = Duration.seconds(75)
    /// Bytes that may wait behind a request that is not answered yet; more stay in the kernel until it is.
    package var pipelinedBytes = 32 << 10
    /// How long the rest of an answer may wait for its reader; then the connection is closed.
    package var drainDeadline = Duration.seconds(10)
    /// How long a connection's last answer is given to arrive before the connection is closed: closing one with
    /// unread bytes destroys what is under way.
    package var lingerDeadline = Duration.seconds(1)
    /// Bytes of a stream that its reader has not taken; more and the connection is closed.
    package var streamBufferBytes = 256 << 10
    /// Bytes of all answers and streams together that their readers have not taken; more and the connections that have
    /// waited longest for theirs are closed.
    package var unsentBytes = 256 << 20
    /// How long the kernel repeats an answer that was waited for before the client counts as gone (design §5).
    package var unansweredBytes = Duration.seconds(2)
    /// Silence before the kernel asks whether a client's machine is still there. Up to 2 s Linux keeps such timers
    /// apart by the tick; longer ones fire together, and thousands of questions at once overrun its queues.
    package var silence = Duration.seconds(2)
    /// Questions, a second apart, without an answer; then the client counts as gone, 5 s after its last sign of life.
    package var questions = 3
    /// How often a waiting client that has filled its buffer is looked at: its end is hidden behind unread bytes.
    package var fullBufferLook = Duration.milliseconds(500)

    // MARK: Server, all of it

    /// Connections at a time. For one more the most dispensable ones are closed: those that have asked nothing longest,
    /// then those that idle longest; where there are none, it is answered 503. Each costs one descriptor.
    package var connections = 12_000
    /// Connections of one address, or of one /64 of IPv6; for one more the same is done among these. Loopback addresses
    /// and unix sockets, where a proxy of this machine stands for everybody, have no such bound.
    package var connectionsPerAddress = 3000
    /// Connections beyond these that are given their 503; even more are closed at once.
    package var refusedConnections = 64
    /// Connections that the kernel holds until they are accepted; it takes `net.core.somaxconn` where that is less.
    package var backlog: Int32 = 4096
    /// How long nothing is accepted after the descriptors have run out.
    package var descriptorPause = Duration.milliseconds(100)

    /// Bytes of a certificate's, key's or authorities' file that is looked at for changes.
    static let certificateBytes = 1 << 20
    /// Groups of a process that connects a unix socket; of one with more only the first counts.
    static let peerGroups = 1024
    /// Bytes of a client certificate's subject; one with a longer one counts as having shown none.
    static let subjectBytes = 1024

    // MARK: Client

    /// Bytes of an answer's status line and headers; more fails the call.
    package var answerHeadBytes = 64 << 10
    /// Bytes of an answer's body; more fails the call.
    package var answerBodyBytes = 16 << 20
    /// Bytes of one server-sent event; more fails the stream.
    package var eventBytes = 1 << 20
    /// Idle connections kept for the next call to the same endpoint.
    package var idleConnectionsKept = 8
    /// How long an idle connection is kept; well under what a server keeps it.
    package var idleConnectionAge = Duration.seconds(30)
    /// How long one address of a host may take to answer before the next is tried.
    package var connectDeadline = Duration.seconds(3)

    package init() {}
}
