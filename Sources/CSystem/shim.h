// One umbrella over the Debian libraries that the wall rooms wrap. The first three lines stay first: libevent defines
// _GNU_SOURCE, after which fd_set differs from the one in Swift's Glibc module, and a clean debug build breaks.
#include <features.h>
#include <sys/types.h>
#include <sys/select.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <event2/util.h>
#include <dirent.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <hiredis/async.h>
#include <hiredis/hiredis.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

// Variadic functions and function-like macros do not reach Swift; these do.
static inline int shim_open(const char *path, int flags, mode_t mode) { return open(path, flags, mode); }
static inline int shim_set_nonblocking(int fd) {
    int flags = fcntl(fd, F_GETFL);
    return flags < 0 ? -1 : fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}
static inline int shim_pidfd_open(pid_t pid) { return (int)syscall(SYS_pidfd_open, pid, 0); }
static inline int shim_pidfd_send_signal(int pidfd, int signal) {
    return (int)syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0);
}
static inline int shim_exited(int status) { return WIFEXITED(status); }
static inline int shim_exit_code(int status) { return WEXITSTATUS(status); }
static inline int shim_ending_signal(int status) { return WTERMSIG(status); }
static inline void shim_ignore_broken_pipes(void) { signal(SIGPIPE, SIG_IGN); }
static inline int shim_close_on_exec(int fd) { return fcntl(fd, F_SETFD, FD_CLOEXEC); }
// Swift's Glibc module hides these GNU additions of <spawn.h>.
int posix_spawn_file_actions_addclosefrom_np(posix_spawn_file_actions_t *actions, int lowest);
int posix_spawn_file_actions_addchdir_np(posix_spawn_file_actions_t *actions, const char *path);
int posix_spawn_file_actions_addtcsetpgrp_np(posix_spawn_file_actions_t *actions, int terminal);
static inline int shim_spawn_into_foreground(posix_spawn_file_actions_t *actions, int terminal) {
    return posix_spawn_file_actions_addtcsetpgrp_np(actions, terminal);
}
static inline int shim_spawn_close_from(posix_spawn_file_actions_t *actions, int lowest) {
    return posix_spawn_file_actions_addclosefrom_np(actions, lowest);
}
static inline int shim_spawn_change_directory(posix_spawn_file_actions_t *actions, const char *path) {
    return posix_spawn_file_actions_addchdir_np(actions, path);
}
static inline int shim_terminal_size(int fd, int *columns, int *rows) {
    struct winsize size;
    if (ioctl(fd, TIOCGWINSZ, &size) != 0) return -1;
    *columns = size.ws_col;
    *rows = size.ws_row;
    return 0;
}
static inline void shim_disable_suspend_key(struct termios *settings) { settings->c_cc[VSUSP] = _POSIX_VDISABLE; }
/// Makes a group the one that the terminal listens to, also where this process is not of the present one.
static inline int shim_set_foreground(int terminal, pid_t group) {
    sigset_t output, former;
    sigemptyset(&output);
    sigaddset(&output, SIGTTOU);
    pthread_sigmask(SIG_BLOCK, &output, &former);
    int result = tcsetpgrp(terminal, group);
    pthread_sigmask(SIG_SETMASK, &former, NULL);
    return result;
}
/// Whether a child has stopped since this was asked last; its end is left to waitpid.
static inline int shim_has_stopped(pid_t child) {
    siginfo_t info;
    info.si_pid = 0;
    return waitid(P_PID, (id_t)child, &info, WSTOPPED | WNOHANG) == 0 && info.si_pid == child;
}
// Macros over enumerations and casts.
static inline uint64_t shim_tls_options(void) { return SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF; }
/// Names the host in the handshake and lets only a certificate of that name, or that address, pass; 1 when done.
static inline int shim_tls_expect_host(SSL *ssl, const char *host) {
    unsigned char address[16];
    if (inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1)
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host);
    return SSL_set_tlsext_host_name(ssl, host) == 1 && SSL_set1_host(ssl, host) == 1;
}
static inline STACK_OF(X509_NAME) *shim_tls_client_authorities(const char *path) { return SSL_load_client_CA_file(path); }
/// Writes the subject of the certificate that the peer has proved to hold (RFC 2253, ASCII, ended by a zero byte); its
/// length, 0 where there is none, -1 where it is longer than `room`.
static inline int shim_tls_peer_subject(const SSL *ssl, char *text, int room) {
    X509 *certificate = SSL_get0_peer_certificate(ssl);
    if (!certificate || SSL_get_verify_result(ssl) != X509_V_OK) return 0;
    BIO *out = BIO_new(BIO_s_mem());
    if (!out) return -1;
    int length = X509_NAME_print_ex(out, X509_get_subject_name(certificate), 0, XN_FLAG_RFC2253);
    if (length >= 0 && BIO_pending(out) < room) length = BIO_pending(out) > 0 ? BIO_read(out, text, room - 1) : 0;
    else length = -1;
    BIO_free(out);
    if (length >= 0) text[length] = 0;
    return length;
}
// GNU additions of <sys/socket.h> and <poll.h> that Swift's Glibc module hides.
int accept4(int fd, struct sockaddr *address, socklen_t *length, int flags);
static inline int shim_accept(int fd) { return accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC); }
/// Who had connected a unix socket when it did so: 0, or -1 where the kernel does not know.
static inline int shim_peer(int fd, uid_t *user, gid_t *group) {
    struct { pid_t process; uid_t user; gid_t group; } peer;  // struct ucred, which is a GNU addition too
    socklen_t length = sizeof peer;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0 || length != sizeof peer) return -1;
    *user = peer.user;
    *group = peer.group;
    return 0;
}
#ifndef SO_PEERGROUPS
#define SO_PEERGROUPS 59
#endif
/// The groups that it had beside its own; their number, or -1 where they are more than `room`.
static inline int shim_peer_groups(int fd, gid_t *groups, int room) {
    socklen_t length = (socklen_t)room * sizeof *groups;
    return getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &length) == 0 ? (int)(length / sizeof *groups) : -1;
}
#ifndef POLLRDHUP
#define POLLRDHUP 0x2000
#endif
/// Whether the peer has closed its side, also where unread bytes come first.
static inline int shim_has_hung_up(int fd) {
    struct pollfd look = {.fd = fd, .events = POLLRDHUP};
    return poll(&look, 1, 0) > 0 && (look.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

// hiredis lets the reader's user make the objects of a reply (redisReplyObjectFunctions). Its own functions take two
// pieces of memory for each element and give back each: a third of what reading a page of events costs. Here a reply's
// elements lie behind each other in blocks that its reader keeps for the next one.
struct shim_reply_block {
    struct shim_reply_block *next;
    size_t size, used;
};
struct shim_reply_room {
    struct shim_reply_block *first, *last;
};
struct shim_reply_root {
    struct shim_reply_room *room;
    redisReply reply;
};
static inline void *shim_reply_bytes(struct shim_reply_room *room, size_t count) {
    if (count > SIZE_MAX - 64) return NULL;
    count = (count + 15) & ~(size_t)15;
    struct shim_reply_block *block = room->last;
    if (!block || block->size - block->used < count) {
        size_t size = block ? 2 * block->size : 16 * 1024;
        if (size > 1024 * 1024) size = 1024 * 1024;
        if (size < count) size = count;
        struct shim_reply_block *more = (struct shim_reply_block *)malloc(32 + size);  // 32: aligned as malloc aligns
        if (!more) return NULL;
        more->next = NULL;
        more->size = size;
        more->used = 0;
        if (block) block->next = more;
        else room->first = more;
        room->last = block = more;
    }
    void *bytes = (char *)block + 32 + block->used;
    block->used += count;
    return bytes;
}
static inline redisReply *shim_reply_made(const redisReadTask *task, int type, size_t more) {
    struct shim_reply_room *room = (struct shim_reply_room *)task->privdata;
    size_t head = task->parent ? 0 : offsetof(struct shim_reply_root, reply);
    if (more > SIZE_MAX - 256) return NULL;
    char *bytes = (char *)shim_reply_bytes(room, head + sizeof(redisReply) + more);
    if (!bytes) return NULL;
    if (head) ((struct shim_reply_root *)bytes)->room = room;
    redisReply *reply = (redisReply *)(bytes + head);
    memset(reply, 0, sizeof *reply);
    reply->type = type;
    if (task->parent) ((redisReply *)task->parent->obj)->element[task->idx] = reply;
    return reply;
}
static inline void *shim_reply_string(const redisReadTask *task, char *text, size_t length) {
    if (length > SIZE_MAX - 256) return NULL;
    redisReply *reply = shim_reply_made(task, task->type, length + 1);
    if (!reply) return NULL;
    reply->str = (char *)(reply + 1);
    reply->len = length;
    memcpy(reply->str, text, length);
    reply->str[length] = 0;
    return reply;
}
#if HIREDIS_MAJOR >= 1
typedef size_t shim_reply_count;
#else
typedef int shim_reply_count;
#endif
static inline void *shim_reply_array(const redisReadTask *task, shim_reply_count count) {
    if ((size_t)count > SIZE_MAX / sizeof(redisReply *) / 2) return NULL;
    redisReply *reply = shim_reply_made(task, task->type, (size_t)count * sizeof(redisReply *));
    if (!reply) return NULL;
    reply->element = (redisReply **)(reply + 1);
    reply->elements = (size_t)count;  // nobody looks at a reply that is not whole, not even to free it
    return reply;
}
static inline void *shim_reply_integer(const redisReadTask *task, long long value) {
    redisReply *reply = shim_reply_made(task, REDIS_REPLY_INTEGER, 0);
    if (reply) reply->integer = value;
    return reply;
}
static inline void *shim_reply_nil(const redisReadTask *task) { return shim_reply_made(task, REDIS_REPLY_NIL, 0); }
static inline void shim_reply_drop_blocks(struct shim_reply_block *block) {
    while (block) {
        struct shim_reply_block *next = block->next;
        free(block);
        block = next;
    }
}
/// hiredis is through with a whole reply, the one that the reader has made last.
static inline void shim_reply_free(void *reply) {
    if (!reply) return;
    struct shim_reply_room *room =
        ((struct shim_reply_root *)((char *)reply - offsetof(struct shim_reply_root, reply)))->room;
    struct shim_reply_block *kept = room->first->size > 64 * 1024 ? NULL : room->first;
    shim_reply_drop_blocks(kept ? kept->next : room->first);
    if (kept) {
        kept->next = NULL;
        kept->used = 0;
    }
    room->first = room->last = kept;
}
/// From now on the reader makes its replies so. False, and nothing changed, without memory.
static inline bool shim_reply_begin(redisReader *reader) {
    static redisReplyObjectFunctions functions = {
        .createString = shim_reply_string,
        .createArray = shim_reply_array,
        .createInteger = shim_reply_integer,
        .createNil = shim_reply_nil,
        .freeObject = shim_reply_free,
    };
    struct shim_reply_room *room = (struct shim_reply_room *)calloc(1, sizeof *room);
    if (!room) return false;
    reader->privdata = room;
    reader->fn = &functions;
    return true;
}
/// The reader is about to go: nothing is read any more.
static inline void shim_reply_end(redisReader *reader) {
    struct shim_reply_room *room = (struct shim_reply_room *)reader->privdata;
    if (!room) return;
    reader->reply = NULL;
    reader->privdata = NULL;
    shim_reply_drop_blocks(room->first);
    free(room);
}
