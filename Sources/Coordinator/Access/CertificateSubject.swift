/// The subject of a client certificate in the form of RFC 2253, which is how `openssl x509 -noout -subject -nameopt
/// RFC2253` prints it: ASCII, the most particular part first, no blanks between the parts.
package enum CertificateSubject {
    /// What is taken, for people.
    package static let want =
        "a subject as \"openssl x509 -noout -subject -nameopt RFC2253\" prints it, such as CN=alice,O=Acme"

    /// Nil where `text` may be a subject.
    package static func whyNot(_ text: String) -> String? {
        let isSubject =
            (3...AccessLimits.subjectBytes).contains(text.utf8.count)
            && text.utf8.allSatisfy { (0x20...0x7E).contains($0) }
            && text.utf8.dropFirst().contains(UInt8(ascii: "="))
        return isSubject ? nil : "the subject: want \(want)."
    }

    /// As one word of the token file: a blank as `%20`, a percent sign as `%25`.
    static func encoded(_ subject: String) -> String {
        subject.replacing("%", with: "%25").replacing(" ", with: "%20")
    }

    /// Nil where it is no subject, or no word that `encoded` makes.
    static func decoded(_ word: Substring) -> String? {
        var text: [UInt8] = []
        var rest = word.utf8[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                text.append(byte)
                continue
            }
            if rest.starts(with: "20".utf8) {
                text.append(0x20)
            } else if rest.starts(with: "25".utf8) {
                text.append(byte)
            } else {
                return nil
            }
            rest = rest.dropFirst(2)
        }
        let subject = String(decoding: text, as: UTF8.self)
        return whyNot(subject) == nil ? subject : nil
    }
}
