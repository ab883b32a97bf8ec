/// The 16384 parts into which a cluster divides its keys.
enum ClusterSlot {
    /// The slot of a key, or of its hash tag: what stands between the first `{` and the `}` after it, unless nothing does.
    static func slot(of key: String) -> Int {
        let bytes = Array(key.utf8)
        if let open = bytes.firstIndex(of: UInt8(ascii: "{")) {
            let rest = bytes[(open + 1)...]
            if let close = rest.firstIndex(of: UInt8(ascii: "}")), close > open + 1 {
                return Int(crc16(rest[..<close]) % 16384)
            }
        }
        return Int(crc16(bytes[...]) % 16384)
    }

    /// CRC-16/XMODEM, as the cluster's specification has it.
    private static func crc16(_ bytes: ArraySlice<UInt8>) -> UInt16 {
        var crc: UInt16 = 0
        for byte in bytes {
            crc ^= UInt16(byte) << 8
            for _ in 0..<8 { crc = crc & 0x8000 != 0 ? crc << 1 ^ 0x1021 : crc << 1 }
        }
        return crc
    }
}
