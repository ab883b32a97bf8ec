import CAssets

/// The texts that travel in the binary: dashboard, browser module, examples.
struct Assets {
    struct Asset: Sendable {
        var type: String
        var content: [UInt8]
    }

    /// What pages of other origins import.
    static let module = "/gpu-controller.js"

    private let byPath: [String: Asset]

    /// Copies all of them, about 100 KB.
    init() {
        var byPath: [String: Asset] = [:]
        for number in 0..<leasehold_asset_count() {
            let asset = Asset(type: Self.text(number, .type), content: Self.bytes(number, .content))
            byPath[Self.text(number, .path)] = asset
        }
        self.byPath = byPath
    }

    subscript(path: String) -> Asset? { byPath[path] }

    private static func text(_ asset: Int32, _ part: LeaseholdAssetPart) -> String {
        String(decoding: bytes(asset, part), as: UTF8.self)
    }

    private static func bytes(_ asset: Int32, _ part: LeaseholdAssetPart) -> [UInt8] {
        (0..<leasehold_asset_size(asset, part)).map { leasehold_asset_byte(asset, part, $0) }
    }
}
