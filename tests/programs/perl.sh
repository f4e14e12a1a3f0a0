#!/usr/bin/env bash
# perl: strings, hashes, regular expressions, sorting, fork and pipes.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
need perl
perl -e 'printf "perl %vd\n", $^V'
turns=20000
[ -z "$long" ] || turns=1000000
cat >"$work/script.pl" <<'PERL'
use strict; use warnings;
my $turns = shift;
my (%count, @words);
for my $i (1 .. $turns) {
    my $word = join '', map { chr(97 + ($i * $_ * 7919) % 26) } 1 .. 3 + $i % 9;
    $count{$word}++; push @words, $word x (1 + $i % 5);
}
print "$_ $count{$_}\n" for (sort { $count{$b} <=> $count{$a} || $a cmp $b } keys %count)[0 .. 99];
my $text = join ' ', @words;
(my $other = $text) =~ s/([aeiou])(\w*)/$2$1/g;
my @parts = split /a+/, $other;
print length($text), ' ', length($other), ' ', scalar(@parts), ' ', unpack('%32C*', $other), "\n";
my @children;
for my $child (1 .. 4) {
    my $pid = open(my $pipe, '-|') // die;
    if (!$pid) {
        my $sum = 0; my %mine = map { $_ => length } @words[0 .. 999];
        $sum += $mine{$_} for sort keys %mine;
        print "child $child: $sum, ", scalar(keys %count), "\n";
        exit $child;
    }
    @words = reverse @words; $count{"child$child"} = $child; # while it reads them
    push @children, [$pid, $pipe];
}
for (@children) { my $pipe = $_->[1]; print while <$pipe>; close $pipe; print 'status ', $? >> 8, "\n" }
print scalar(eval { die { code => 42 } } // $@->{code}), "\n";
exit 7;
PERL
same "a script" perl "$work/script.pl" $turns
holds perl $((turns * 100))
passed
