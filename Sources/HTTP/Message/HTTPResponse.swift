/// A complete answer.
package struct HTTPResponse: Equatable, Sendable {
    package var status: Int
    /// Length, coding and date are added when it is sent; `Connection: close` ends the connection after it.
    package var headers: HTTPHeaders
    package var body: [UInt8]

    package init(status: Int, headers: HTTPHeaders = .init(), body: [UInt8] = []) {
        self.status = status
        self.headers = headers
        self.body = body
    }

    /// An answer in JSON.
    package init(status: Int, json: [UInt8]) {
        self.init(status: status, headers: ["Content-Type": "application/json"], body: json)
    }
}
