import EventLoop
import Glibc

/// Small programs of the system that are run to their end; what they do takes milliseconds.
enum Shell {
    /// Whether it ended well. Blocks.
    static func run(_ arguments: [String]) throws -> Bool {
        var processID: Int32 = 0
        let pointers: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) } + [nil]
        defer { for pointer in pointers { free(pointer) } }
        let code = posix_spawnp(&processID, arguments[0], nil, nil, pointers, environ)
        guard code == 0 else {
            if code == ENOENT { return false }
            throw LoopError(call: "start \(arguments[0])", code: code)
        }
        var status: Int32 = 0
        while waitpid(processID, &status, 0) < 0, errno == EINTR {}
        return status == 0
    }

    /// Takes the place of this process.
    static func become(_ arguments: [String], adding variable: String) -> LoopError {
        setenv(variable, "1", 1)
        let pointers: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) } + [nil]
        execvp(arguments[0], pointers)
        return LoopError(call: "start \(arguments[0])", code: errno)
    }
}
