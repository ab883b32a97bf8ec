import Testing

@testable import RedisClient

@Suite struct FifoTests {
    @Test func `it gives back what it took, in order, however the two are mixed`() {
        var fifo = Fifo<Int>()
        var model: [Int] = []
        var next = 0
        for round in 0..<20_000 {
            // Long runs of filling and of emptying, so that the queue is cut while it is large.
            if (round / 3000) % 2 == 0 ? round % 4 != 0 : round % 4 == 0 {
                fifo.append(next)
                model.append(next)
                next += 1
            } else {
                #expect(fifo.popFirst() == (model.isEmpty ? nil : model.removeFirst()))
            }
            #expect(fifo.count == model.count)
        }
        #expect(fifo.least(by: { -$0 }) == model.max().map { -$0 })
        while let element = fifo.popFirst() { #expect(element == model.removeFirst()) }
        #expect(model.isEmpty)
    }

    @Test(arguments: [
        ("7.0.15", 7, 0), ("7.2", 7, 2), ("8.0.0-rc1", 8, 0), ("255.255.255", 255, 255),
    ])
    func `a version is read from its first two numbers`(text: String, major: Int, minor: Int) {
        #expect(RedisVersion(parsing: text) == RedisVersion(major: major, minor: minor))
        #expect(RedisVersion(major: 6, minor: 9) < RedisVersion(major: 7, minor: 0))
    }
}
