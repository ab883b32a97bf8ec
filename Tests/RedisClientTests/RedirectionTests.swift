import Testing

@testable import RedisClient

@Suite struct `Slots and redirections` {
    @Test(arguments: [
        ("123456789", 12739), ("foo", 12182), ("", 0), ("{foo}bar", 12182), ("x{foo}y{bar}", 12182), ("{}foo", 9500),
        ("lh:{foo}:clock", 12182), ("{foo", 13308),
    ])
    func `a key has the slot that Redis gives it`(key: String, slot: Int) {
        #expect(ClusterSlot.slot(of: key) == slot)
    }

    @Test(arguments: [
        ("MOVED 3999 127.0.0.1:6381", RedisRedirection.moved(to: .tcp(host: "127.0.0.1", port: 6381))),
        ("MOVED 3999 ::1:6381", .moved(to: .tcp(host: "::1", port: 6381))),
        ("MOVED 3999 :6381", .moved(to: .tcp(host: "here", port: 6381))),
        ("ASK 3999 127.0.0.1:6381", .underWay),
        ("TRYAGAIN Multiple keys request during rehashing of slot", .underWay),
        ("CLUSTERDOWN Hash slot not served", .clusterDown), ("CLUSTERDOWN The cluster is down", .clusterDown),
        ("READONLY You can't write against a read only replica.", .replica),
        ("NOREPLICAS Not enough good replicas to write.", .withoutReplicas),
    ])
    func `an error that sends elsewhere is known`(message: String, redirection: RedisRedirection) {
        #expect(RedisRedirection(message, from: .tcp(host: "here", port: 1)) == redirection)
    }

    @Test(arguments: ["", "MOVED", "MOVED 1", "MOVED 1 x", "MOVED 1 x:", "MOVED 1 x:0", "MOVED 1 x:70000", "ERR MOVED"])
    func `all else sends nowhere`(message: String) {
        #expect(RedisRedirection(message, from: .tcp(host: "here", port: 1)) == nil)
    }
}
