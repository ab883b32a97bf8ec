import JSON
import Testing

@testable import Coordinator

@Suite struct `The description of the interface` {
    private static func paths() throws -> JSONObject {
        let asset = try #require(Assets()["/openapi.json"])
        return try #require(try JSONParser.parse(asset.content).object?["paths"]?.object)
    }

    @Test func `names every route, and no other`() throws {
        let described = try Self.paths().flatMap { path, calls in
            (calls.object?.members ?? []).map { "\($0.name) \(path)" }
        }
        let served = Route.allCases.map { route in
            "\(route.method.rawValue.lowercased()) \(route.path)" + (route == .requests ? "{request_id}" : "")
        }
        #expect(described.sorted() == served.sorted())
    }

    @Test func `says which role each call needs`() throws {
        for route in Route.allCases {
            let path = route.path + (route == .requests ? "{request_id}" : "")
            let call = try Self.paths()[path]?.object?[route.method.rawValue.lowercased()]?.object
            #expect(call?["x-role"]?.string == route.permission?.leastRole.rawValue, "\(path)")
            #expect((call?["security"]?.array?.isEmpty ?? false) == (route.permission == nil), "\(path)")
        }
    }
}
