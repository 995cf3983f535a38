//! What holds a Pod's namespaces while its containers come and go: a program that waits for ever.

fn main() {
    loop {
        std::thread::park();
    }
}
