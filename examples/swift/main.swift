import GPULease

let gpu = try GPUPool()
try await gpu.withLease(for: "swift-example") { lease in
    print("\(lease.unit) is mine until I am done, fencing token \(lease.fencingToken)")
    for step in 1...3 {
        try Task.checkCancellation()  // the task is cancelled as soon as the lease is lost
        print("step \(step)")
    }
}
print("given back")
