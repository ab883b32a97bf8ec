import EventLoop
import Glibc

/// Which one LEASEHOLD_FUZZ_TARGET names.
private let target: FuzzTarget = {
    let name = Environment.get("LEASEHOLD_FUZZ_TARGET") ?? ""
    guard let target = FuzzTarget(rawValue: name) else {
        stop(
            "LEASEHOLD_FUZZ_TARGET: got \"\(name)\", want \(FuzzTarget.allCases.map(\.rawValue).joined(separator: ", "))"
        )
    }
    return target
}()

/// What libFuzzer calls with the bytes that it has made up.
@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    do {
        try target.look(at: Array(UnsafeBufferPointer(start: start, count: count)))
    } catch {
        stop("BROKEN: \(error)")
    }
    return 0
}

/// Ends as libFuzzer notices it, which keeps the bytes that led here.
private func stop(_ why: String) -> Never {
    Console.write(why + "\n", to: .error)
    abort()
}
