# What the pyxis plugin does with a container, call for call: each command started with its standard input
# closed, its output to a file in memory, no descriptor above 2 and the environment of a job; the container
# waited for until it stops, joined by another process, continued and waited for.
#
#   pyxis.pl ENROOT UID CONF NAME [IMAGE FOLDER [IMPORTER]]
#
# It prints what it found, one fact a line. With IMAGE it also makes the container, through files in
# FOLDER, saves it, and removes it; without, NAME is there before and after. With IMPORTER the image comes from
# that, as with `importer=IMPORTER` in plugstack.conf: its output is a pipe, of which one line is read, its
# errors go to a file in memory, and it is told twice that the image is not needed any more.

use strict;
use warnings;
use POSIX qw(:sys_wait_h setuid setgid dup2);

my ($enroot, $uid, $conf, $name, $image, $folder, $importer) = @ARGV;
my ($nr_memfd, $nr_close_range) = $^V && `uname -m` =~ /aarch64/ ? (279, 436) : (319, 436);
my $log;

# Starts enroot as the job's user.
sub spawn {
    new_log();
    return spawn_with(undef, $enroot, @_);
}

sub new_log {
    POSIX::close($log) if defined $log;
    $log = syscall($nr_memfd, my $label = "pyxis", 0);
}

# Starts a program as the job's user, with its output to a descriptor, or where its errors go.
sub spawn_with {
    my ($output, @command) = @_;
    my $pid = fork();
    die "fork: $!" unless defined $pid;
    return $pid if $pid != 0;
    if ($uid != $<) { setgid($uid); $) = "$uid $uid"; setuid($uid); }
    POSIX::close(0);
    dup2($output // $log, 1);
    dup2($log, 2);
    syscall($nr_close_range, 3, 0xffffffff, 0);
    exec { $command[0] } @command or POSIX::_exit(127);
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

# Runs the importer to its end, which must be a good one. Gives the path that it printed.
sub get {
    pipe(my $reader, my $writer) or die "pipe: $!";
    new_log();
    my $pid = spawn_with(fileno($writer), $importer, "get", $image);
    close($writer);
    my $path = <$reader> // "";
    waitpid($pid, 0);
    print "get $?\n";
    if ($? != 0) { print said(); exit 1; }
    chomp $path;
    return $path;
}

sub release {
    new_log();
    waitpid(spawn_with(undef, $importer, "release"), 0);
    print "release $?\n";
    print said() if $? != 0;
}

$| = 1;
alarm 600;
if (defined $importer) {
    enroot("create", "--name", $name, get());
    release();
} elsif (defined $image) {
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
release() if defined $importer;
