# What the pyxis plugin does with a container, call for call: each command started with its standard input
# closed, its output to a file in memory, no descriptor above 2 and the environment of a job; the container
# waited for until it stops, joined by another process, continued and waited for.
#
#   pyxis.pl ENROOT UID CONF NAME [IMAGE FOLDER]
#
# It prints what it found, one fact a line. With IMAGE it also makes the container, through files in
# FOLDER, saves it, and removes it; without, NAME is there before and after.

use strict;
use warnings;
use POSIX qw(:sys_wait_h setuid setgid dup2);

my ($enroot, $uid, $conf, $name, $image, $folder) = @ARGV;
my ($nr_memfd, $nr_close_range) = $^V && `uname -m` =~ /aarch64/ ? (279, 436) : (319, 436);
my $log;

# Starts enroot as the job's user.
sub spawn {
    my @arguments = @_;
    POSIX::close($log) if defined $log;
    $log = syscall($nr_memfd, my $label = "pyxis", 0);
    my $pid = fork();
    die "fork: $!" unless defined $pid;
    return $pid if $pid != 0;
    if ($uid != $<) { setgid($uid); $) = "$uid $uid"; setuid($uid); }
    POSIX::close(0);
    dup2($log, 1);
    dup2($log, 2);
    syscall($nr_close_range, 3, 0xffffffff, 0);
    exec { $enroot } $enroot, @arguments or POSIX::_exit(127);
}

sub said {
    open(my $text, "<", "/proc/self/fd/$log") or die "memfd: $!";
    return <$text>;
}

# Runs enroot to its end, which must be a good one.
sub enroot {
    waitpid(spawn(@_), 0);
    print "$_[0] $?\n";
    return said() if $? == 0;
    print said();
    exit 1;
}

$| = 1;
alarm 600;
if (defined $image) {
    enroot("import", "--output", "$folder/image.sqsh", $image);
    enroot("create", "--name", $name, "$folder/image.sqsh");
    unlink("$folder/image.sqsh") or die "image.sqsh: $!";
}

my $pid = spawn("start", "--conf", $conf, $name, "sh", "-c", 'kill -STOP $$ ; exit 0');
my $waited = waitpid($pid, WUNTRACED);
# What $? says of a stopped child differs from one perl to another.
my $state = `grep ^State: /proc/$pid/status`;
if ($waited != $pid || $state !~ /\tT/) {
    kill "KILL", $pid;
    print "did not stop: $state\n", said();
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
        "/bin/sh", "-c", 'cat /mark; ls /mnt/conf; pwd; echo "job $SLURM_JOB_ID"'
        or POSIX::_exit(127);
}
waitpid($joined, 0);
print "joined $?\n";
my ($heading, @lines) = enroot("list", "-f");
for (@lines) {
    my ($container, $listed) = split;
    next if $container ne $name;
    print "listed $container ", ($listed // "") eq $pid ? "as it is" : "otherwise", "\n";
}
kill "CONT", $pid;
waitpid($pid, 0);
print "ended $?\n";

if (defined $image) {
    enroot("export", "-f", "-o", "$folder/saved.sqsh", $name);
    enroot("remove", "-f", $name);
    enroot("load", "--name", $name, $image);
    enroot("remove", "-f", $name);
}
