# What the pyxis plugin does with a container, call for call: started with its standard input closed, its
# output to a file in memory, no descriptor above 2 and the environment of a job, waited for until it stops,
# joined by another process, continued and waited for.
#
#   pyxis.pl ENROOT UID CONF NAME        prints what it found, one fact a line

use strict;
use warnings;
use POSIX qw(:sys_wait_h setuid setgid dup2);

my ($enroot, $uid, $conf, $name) = @ARGV;
my ($nr_memfd, $nr_close_range) = $^V && `uname -m` =~ /aarch64/ ? (279, 436) : (319, 436);
my $log = syscall($nr_memfd, my $label = "pyxis", 0);

alarm 60;
my $pid = fork();
die "fork: $!" unless defined $pid;
if ($pid == 0) {
    if ($uid != $<) { setgid($uid); $) = "$uid $uid"; setuid($uid); }
    POSIX::close(0);
    dup2($log, 1);
    dup2($log, 2);
    syscall($nr_close_range, 3, 0xffffffff, 0);
    exec { $enroot } $enroot, "start", "--conf", $conf, $name, "sh", "-c", 'kill -STOP $$ ; exit 0'
        or POSIX::_exit(127);
}
my $waited = waitpid($pid, WUNTRACED);
# What $? says of a stopped child differs from one perl to another.
my $state = `grep ^State: /proc/$pid/status`;
if ($waited != $pid || $state !~ /\tT/) {
    kill "KILL", $pid;
    open(my $text, "<", "/proc/self/fd/$log");
    print "did not stop: $state\n", <$text>;
    exit 1;
}
print "stopped\n";

for my $kind ("user", "mnt", "cgroup") {
    my ($own, $other) = map { readlink "/proc/$_/ns/$kind" } "self", $pid;
    print "$kind ", $own eq $other ? "the same" : "its own", "\n";
}
open(my $environ, "<", "/proc/$pid/environ") or die "environ: $!";
my @variables = split /\0/, do { local $/; <$environ> };
print "variable $_\n" for grep { /^(FROM_CONF|SLURM_JOB_ID|ENROOT_.*)=/ } @variables;

my $joined = fork();
if ($joined == 0) {
    my @become = $uid != $< ? ("setpriv", "--reuid", $uid, "--regid", $uid, "--clear-groups") : ();
    exec @become, "nsenter", "--preserve-credentials", "--user", "--mount", "--target", $pid,
        "/bin/sh", "-c", "cat /mark; pwd"
        or POSIX::_exit(127);
}
waitpid($joined, 0);
print "joined $?\n";
if (open(my $list, "-|", "env", "-i", map({ "$_=$ENV{$_}" } keys %ENV),
        ($uid != $< ? ("setpriv", "--reuid", $uid, "--regid", $uid, "--clear-groups") : ()),
        $enroot, "list", "-f")) {
    my ($heading, @lines) = <$list>;
    for (@lines) {
        my ($container, $listed) = split;
        print "listed $container ", defined $listed && $listed == $pid ? "as it is" : "otherwise", "\n";
    }
    close $list;
}
kill "CONT", $pid;
waitpid($pid, 0);
print "ended $?\n";
