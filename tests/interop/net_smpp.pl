#!/usr/bin/perl
# Net::SMPP as a client: net_smpp.pl HOST PORT INTERFACE_VERSION < the texts to send, as JSON
#
# Binds, sends each text, waits for as many receipts as it sent parts, queries every id and one that does not exist,
# asks whether the link is alive, unbinds; and prints what it was answered, as JSON.
use strict;
use warnings;
use Encode qw(encode);
use JSON::PP;
use Net::SMPP;

my ($host, $port, $interface_version) = @ARGV;
my $texts = decode_json(do { local $/; <STDIN> });
my %told = (submits => [], receipts => [], queries => []);
my %answered;    # by sequence number

alarm 60;

my $smpp = Net::SMPP->new_connect($host, port => $port) or die "cannot connect: $!";
my $bound = $smpp->bind_transceiver(
    system_id => 'acme', password => 'secret', interface_version => hex $interface_version);
$told{bind} = {status => $bound->status, system_id => $bound->{system_id}};

# Reads until the answer with this sequence number is there, or, without one, until something has come.
sub hear {
    my ($seq) = @_;
    while (1) {
        return delete $answered{$seq} if defined $seq && $answered{$seq};
        my $pdu = $smpp->read_pdu() or die "the connection ended";
        if ($pdu->cmd == Net::SMPP::CMD_deliver_sm) {
            push @{$told{receipts}}, {
                text => $pdu->{short_message},
                esm_class => $pdu->{esm_class},
                source => $pdu->{source_addr},
                id => $pdu->{receipted_message_id},
                state => defined $pdu->{message_state} ? ord $pdu->{message_state} : undef,
            };
            $smpp->deliver_sm_resp(seq => $pdu->seq, message_id => '');
            return unless defined $seq;
        }
        elsif ($pdu->cmd == Net::SMPP::CMD_enquire_link) {
            $smpp->enquire_link_resp(seq => $pdu->seq);
        }
        else {
            $answered{$pdu->seq} = $pdu;
        }
    }
}

my ($sent, $reference) = (0, 17);
for my $text (@$texts) {
    my $is_ascii = $text->{text} =~ /^[\x00-\x7f]*$/;
    my $octets = $is_ascii ? $text->{text} : encode('UTF-16BE', $text->{text});
    my $size = $is_ascii ? 153 : 134;
    my @parts = length $octets <= ($is_ascii ? 160 : 140) ? ($octets) : unpack "(a$size)*", $octets;
    my @payload = $text->{payload} ? (message_payload => $octets) : ();
    @parts = ('') if @payload;
    $reference++;
    for my $number (1 .. @parts) {
        my $header = @parts > 1 ? pack 'C6', 5, 0, 3, $reference, scalar @parts, $number : '';
        my $seq = $smpp->submit_sm(
            async => 1, source_addr_ton => 5, source_addr => 'ACME', dest_addr_ton => 1, dest_addr_npi => 1,
            destination_addr => $text->{to}, registered_delivery => 1, data_coding => $is_ascii ? 0 : 8,
            esm_class => $header ? 0x40 : 0, short_message => $header . $parts[$number - 1], @payload);
        my $answer = hear($seq);
        push @{$told{submits}}, {name => $text->{name}, status => $answer->status, id => $answer->{message_id}};
        $sent++ if $answer->status == 0;
    }
}
hear() while @{$told{receipts}} < $sent;

for my $id ((map { $_->{id} } @{$told{submits}}), '9999999') {
    my $seq = $smpp->query_sm(async => 1, message_id => $id, source_addr_ton => 5, source_addr => 'ACME');
    my $answer = hear($seq);
    push @{$told{queries}}, {
        asked => $id, status => $answer->status, map { $_ => $answer->{$_} }
          qw(message_id final_date message_state error_code)};
}
$told{enquire_link} = hear($smpp->enquire_link(async => 1))->status;
$told{unbind} = hear($smpp->unbind(async => 1))->status;
print encode_json(\%told), "\n";
